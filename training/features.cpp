#include "training/features.h"
#include "frontend/checkpoint/safetensors.h"
#include "linnet/session.h"
#include "support/error.h"

#include <algorithm>
#include <cmath>

namespace linnet::training {
namespace {

/// The error for a text whose embedding is infinite or NaN. A Session's error names the first such part of
/// the model.
Error notFinite(const std::string &artifact, const LoadOptions &options, std::span<const int32_t> ids,
                size_t text) {
  auto trace = [&]() -> Result<Matrix> {
    LINNET_ASSIGN(Model model, Model::load(artifact, options));
    LINNET_ASSIGN(Session session, Session::open(model));
    return session.embed(std::vector<TokenId>(ids.begin(), ids.end()), Pooling::Mean);
  };
  auto found = trace();
  return errorf("text {}: {}", text + 1,
                found ? "its embedding is infinite or NaN, expected finite numbers" : found.error().message);
}

} // namespace

Result<Features> embedExamples(const std::string &artifact, const LoadOptions &options,
                               std::vector<Example> examples, const std::function<bool(double)> &progress) {
  LINNET_ASSIGN(Graph graph, Graph::load(artifact, options));
  auto entry = std::find_if(graph.entries().begin(), graph.entries().end(),
                            [](const EntryInfo &e) { return e.name == "embed"; });
  if (entry == graph.entries().end()) return errorf("{}: has no entry 'embed'", artifact);
  int64_t max_batch = entry->inputs[0].largest[0];
  Features features;
  features.width = entry->outputs[0].largest[1];
  features.values.resize(examples.size() * static_cast<size_t>(features.width));
  for (const Example &example : examples) features.labels.push_back(example.label);
  const std::vector<size_t> order = sortByLength(examples); // less padding
  auto source = paddedBatches(std::move(examples), max_batch, 0, false);
  for (int64_t i = 0; i < source->count(); ++i) {
    if (progress && !progress(static_cast<double>(i) / static_cast<double>(source->count())))
      return Error{"interrupted"};
    Batch batch = source->at(0, i);
    const NamedTensor inputs[] = {
        {"ids", Tensor::fromInts({batch.rows, batch.seq}, batch.ids)},
        {"past", Tensor::fromInts({batch.rows}, std::vector<int32_t>(static_cast<size_t>(batch.rows), 0))},
        {"length", Tensor::fromInts({batch.rows}, batch.length)}};
    LINNET_ASSIGN(std::vector<NamedTensor> out, graph.run("embed", inputs));
    std::span<const float> values = out[0].tensor.floats();
    auto width = static_cast<size_t>(features.width);
    for (size_t row = 0; row < batch.numbers.size(); ++row) {
      const size_t text = order[static_cast<size_t>(batch.numbers[row])];
      const auto vector = values.subspan(row * width, width);
      if (!std::all_of(vector.begin(), vector.end(), [](float value) { return std::isfinite(value); }))
        return notFinite(artifact, options,
                         std::span<const int32_t>(batch.ids).subspan(row * static_cast<size_t>(batch.seq),
                                                                     static_cast<size_t>(batch.length[row])),
                         text);
      std::copy(vector.begin(), vector.end(),
                features.values.begin() + static_cast<std::ptrdiff_t>(text * width));
    }
  }
  return features;
}

Result<Features> readFeatures(const std::string &path, const std::string &key) {
  LINNET_ASSIGN(SafetensorsFile file, SafetensorsFile::open(path));
  auto stored = file.metadata().find("key");
  if (stored == file.metadata().end() || stored->second != key)
    return errorf("{}: embeddings of other texts or another model", path);
  const TensorView *values = file.find("features"), *labels = file.find("labels");
  if (!values || !labels || values->shape.size() != 2 || labels->shape != std::vector{values->shape[0]} ||
      values->type != StorageType::f32 || labels->type != StorageType::i32)
    return errorf("{}: expected f32 \"features\" [texts, width] and i32 \"labels\" [texts]", path);
  Features features;
  features.width = values->shape[1];
  features.values.resize(values->elements());
  LINNET_TRY(readF32(*values, 0, features.values));
  features.labels.resize(labels->elements());
  std::copy_n(labels->bytes.begin(), labels->bytes.size(),
              std::as_writable_bytes(std::span(features.labels)).begin());
  return features;
}

Result<void> writeFeatures(const std::string &path, const std::string &key, const Features &features) {
  auto bytes = [](std::span<const std::byte> data) {
    return [data](const std::function<Result<void>(std::span<const std::byte>)> &sink) { return sink(data); };
  };
  auto rows = static_cast<int64_t>(features.labels.size());
  return writeSafetensors(
      path,
      {{"features",
        StorageType::f32,
        {rows, features.width},
        bytes(std::as_bytes(std::span(features.values)))},
       {"labels", StorageType::i32, {rows}, bytes(std::as_bytes(std::span(features.labels)))}},
      {{"key", key}});
}

Features rowsOf(const Features &features, const std::vector<size_t> &which) {
  Features out;
  out.width = features.width;
  for (size_t i : which) {
    auto row = features.values.begin() + static_cast<std::ptrdiff_t>(i) * features.width;
    out.values.insert(out.values.end(), row, row + features.width);
    out.labels.push_back(features.labels[i]);
  }
  return out;
}

} // namespace linnet::training
