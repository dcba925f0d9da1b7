#include "training/finetune_data.h"
#include "runtime/hash.h"
#include "support/error.h"
#include "support/file.h"
#include "training/features.h"

#include <cmath>
#include <numeric>

namespace linnet::training {
namespace {

constexpr size_t kFewTexts =
    20; // below, the held-out part of a language model's data is the end of each text

Result<std::string> hashOf(const std::vector<std::string> &files) {
  StreamingHash hash;
  for (const std::string &path : files) {
    if (path.empty()) continue;
    LINNET_ASSIGN(MappedFile file, MappedFile::open(path));
    hash.append(file.bytes());
  }
  return fmt::format("{:016x}", hash.digest());
}

} // namespace

Result<Material> readMaterial(const FinetuneOptions &options) {
  Material material;
  ReadOptions read = options.read;
  read.labels = options.task == Task::Classify;
  LINNET_ASSIGN(material.hash, hashOf({options.data, options.held_out_file}));
  LINNET_ASSIGN(material.records, readRecords(options.data, read));
  size_t own = material.records.size();
  if (read.labels) {
    material.names = options.labels;
    if (material.names.empty()) {
      LINNET_ASSIGN(material.names, labelsIn(material.records, options.data));
    }
    LINNET_ASSIGN(material.labels, labelIds(material.records, material.names, options.data));
    if (std::count(material.labels.begin(), material.labels.end(), material.labels[0]) ==
        static_cast<std::ptrdiff_t>(own))
      return errorf("{}: every text has the label \"{}\"; a classifier needs at least two labels",
                    options.data, material.names[static_cast<size_t>(material.labels[0])]);
  }
  if (!options.held_out_file.empty()) {
    LINNET_ASSIGN(std::vector<Record> more, readRecords(options.held_out_file, read));
    if (read.labels) {
      LINNET_ASSIGN(std::vector<int32_t> labels, labelIds(more, material.names, options.held_out_file));
      material.labels.insert(material.labels.end(), labels.begin(), labels.end());
    }
    material.records.insert(material.records.end(), more.begin(), more.end());
    material.split.train.resize(own);
    std::iota(material.split.train.begin(), material.split.train.end(), size_t(0));
    material.split.held_out.resize(more.size());
    std::iota(material.split.held_out.begin(), material.split.held_out.end(), own);
  } else if (read.labels) {
    material.split = splitByLabel(material.labels, options.held_out, options.seed);
  } else if (own >= kFewTexts || options.held_out == 0) {
    material.split = splitEvenly(own, options.held_out, options.seed);
  } else { // languageBatches cuts each text
    material.split.train.resize(own);
    std::iota(material.split.train.begin(), material.split.train.end(), size_t(0));
  }
  return material;
}

Result<Batches> languageBatches(const Material &material, const Tokenizer &tokenizer,
                                const FinetuneOptions &options, int64_t max_seq) {
  TokenStream train, held_out;
  LINNET_ASSIGN(held_out, streamOf(material.records, material.split.held_out, tokenizer, options.data));
  if (held_out.ids.empty() && options.held_out > 0) {
    for (size_t i : material.split.train) {
      LINNET_ASSIGN(TokenStream text, streamOf(material.records, {i}, tokenizer, options.data));
      auto kept =
          static_cast<size_t>(std::llround(static_cast<double>(text.ids.size()) * (1 - options.held_out)));
      auto [front, back] = text.cut(kept);
      train.append(front);
      held_out.append(back);
    }
  } else {
    LINNET_ASSIGN(train, streamOf(material.records, material.split.train, tokenizer, options.data));
  }
  Batches batches;
  Result<std::unique_ptr<BatchSource>> source =
      packedBatches(std::move(train), options.batch, max_seq, options.seed, true);
  if (!source) return errorf("{}: {}", options.data, source.error().message);
  batches.train = std::move(*source);
  if (held_out.ids.size() >= 2) {
    LINNET_ASSIGN(batches.held_out,
                  packedBatches(std::move(held_out), options.batch, max_seq, options.seed, false));
  }
  return batches;
}

Result<Batches> textBatches(const Material &material, const Tokenizer &tokenizer,
                            const FinetuneOptions &options, int64_t max_seq) {
  Batches batches;
  LINNET_ASSIGN(std::vector<Example> all,
                examplesOf(material.records, material.labels, tokenizer, static_cast<size_t>(max_seq),
                           options.data, batches.cut));
  auto some = [&](const std::vector<size_t> &which) {
    std::vector<Example> list;
    for (size_t i : which) list.push_back(all[i]);
    return list;
  };
  batches.train = paddedBatches(some(material.split.train), options.batch, options.seed, true);
  if (!material.split.held_out.empty())
    batches.held_out = paddedBatches(some(material.split.held_out), options.batch, options.seed, false);
  return batches;
}

Batches embeddedBatches(const Material &material, const Features &features, const FinetuneOptions &options) {
  Batches batches;
  batches.train = featureBatches(rowsOf(features, material.split.train), options.batch, options.seed, true);
  if (!material.split.held_out.empty())
    batches.held_out =
        featureBatches(rowsOf(features, material.split.held_out), options.batch, options.seed, false);
  return batches;
}

} // namespace linnet::training
