#include "training/classifier.h"
#include "runtime/artifact.h"
#include "support/error.h"
#include "support/json.h"
#include "training/metrics.h"

#include <algorithm>
#include <memory>

namespace linnet::training {
namespace {

Result<LabelNames> labelsOf(const Artifact &artifact) {
  LINNET_ASSIGN(Json config,
                parseJson(artifact.metadata().config()->string_view(), artifact.path() + ": config.json"));
  auto found = config.is_object() ? config.find("id2label") : config.end();
  if (!config.is_object() || found == config.end() || !found->is_object() || found->size() < 1)
    return errorf(
        "{}: expected a classifier (GPT2ForSequenceClassification, as linnet finetune --task classify "
        "writes it), found a model without labels",
        artifact.path());
  LabelNames names;
  for (size_t i = 0; i < found->size(); ++i) {
    auto name = found->find(std::to_string(i));
    if (name == found->end() || !name->is_string())
      return errorf("{}: its config: id2label has no name for {}", artifact.path(), i);
    names.push_back(name->get<std::string>());
  }
  return names;
}

const PortInfo *portNamed(const std::vector<PortInfo> &ports, std::string_view name) {
  for (const PortInfo &port : ports)
    if (port.name == name) return &port;
  return nullptr;
}

} // namespace

Result<Classifier> Classifier::load(const std::string &path, const LoadOptions &options) {
  LINNET_ASSIGN(Artifact artifact, Artifact::open(path));
  LINNET_ASSIGN(LabelNames names, labelsOf(artifact));
  const fb::Blob *blob = artifact.metadata().tokenizer();
  if (!blob) return errorf("{}: the classifier has no tokenizer to read texts with", path);
  auto owner = std::make_shared<Artifact>(std::move(artifact));
  LINNET_ASSIGN(Tokenizer tokenizer, Tokenizer::fromBytes(owner->blob(*blob), owner));
  LINNET_ASSIGN(Graph graph, Graph::load(path, options));
  Classifier classifier(std::move(graph), std::move(tokenizer));
  classifier.names = std::move(names);
  for (const EntryInfo &entry : classifier.graph.entries()) {
    const PortInfo *ids = portNamed(entry.inputs, "ids"), *scores = portNamed(entry.outputs, "scores");
    if (entry.name != "classify" || !ids || !scores || ids->largest.size() != 2 ||
        scores->largest.size() != 2)
      continue;
    if (scores->largest[1] != static_cast<int64_t>(classifier.names.size()))
      return errorf("{}: {} scores for {} labels", path, scores->largest[1], classifier.names.size());
    classifier.max_batch = ids->largest[0];
    classifier.max_seq = ids->largest[1];
    return classifier;
  }
  return errorf("{}: has no entry 'classify' with ids and scores", path);
}

Result<std::vector<Answer>> Classifier::classify(const std::vector<Record> &records, const std::string &where,
                                                 const std::function<void(double)> &progress) {
  size_t cut = 0;
  LINNET_ASSIGN(std::vector<Example> examples,
                examplesOf(records, {}, tokenizer, static_cast<size_t>(max_seq), where, cut));
  const std::vector<size_t> order = sortByLength(examples); // less padding
  auto source = paddedBatches(std::move(examples), max_batch, 0, false);
  std::vector<Answer> answers(records.size());
  const std::string wanted[] = {"scores"};
  for (int64_t i = 0; i < source->count(); ++i) {
    Batch batch = source->at(0, i);
    std::vector<int32_t> past(static_cast<size_t>(batch.rows), 0);
    NamedTensor inputs[] = {{"ids", Tensor::fromInts({batch.rows, batch.seq}, batch.ids)},
                            {"past", Tensor::fromInts({batch.rows}, past)},
                            {"length", Tensor::fromInts({batch.rows}, batch.length)}};
    LINNET_ASSIGN(std::vector<NamedTensor> out, graph.run("classify", inputs, wanted));
    std::span<const float> scores = out[0].tensor.floats();
    for (size_t row = 0; row < batch.numbers.size(); ++row) {
      auto of_row = scores.subspan(row * names.size(), names.size());
      answers[order[static_cast<size_t>(batch.numbers[row])]] = {argmax(of_row), softmax(of_row)};
    }
    if (progress) progress(static_cast<double>(i + 1) / static_cast<double>(source->count()));
  }
  return answers;
}

} // namespace linnet::training
