#include "training/finetune_data.h"
#include "runtime/artifact/hash.h"
#include "support/error.h"
#include "support/file.h"
#include "training/features.h"
#include "training/held_out.h"

#include <algorithm>
#include <numeric>

namespace linnet::training {
namespace {

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

Result<Material> readMaterial(const FinetuneOptions &options, const std::string &labels_hint) {
  Material material;
  auto ids = [&](const std::vector<Record> &records,
                 const std::string &file) -> Result<std::vector<int32_t>> {
    auto found = labelIds(records, material.names, file);
    return found ? std::move(found) : errorf("{}{}", found.error().message, labels_hint);
  };
  ReadOptions read = options.read;
  read.labels = options.task == Task::Classify;
  read.note = [&](const std::string &line) { material.notes.push_back(line); };
  LINNET_ASSIGN(material.hash, hashOf({options.data, options.held_out_file}));
  LINNET_ASSIGN(material.records, readRecords(options.data, read));
  size_t own = material.records.size();
  if (read.labels) {
    material.names = options.labels;
    if (material.names.empty()) {
      LINNET_ASSIGN(material.names, labelsIn(material.records, options.data));
    }
    LINNET_ASSIGN(material.labels, ids(material.records, options.data));
    if (std::count(material.labels.begin(), material.labels.end(), material.labels[0]) ==
        static_cast<std::ptrdiff_t>(own))
      return errorf("{}: every text has the label \"{}\"; a classifier needs at least two labels",
                    options.data, material.names[static_cast<size_t>(material.labels[0])]);
  }
  if (!options.held_out_file.empty()) {
    LINNET_ASSIGN(std::vector<Record> more, readRecords(options.held_out_file, read));
    if (read.labels) {
      LINNET_ASSIGN(std::vector<int32_t> labels, ids(more, options.held_out_file));
      material.labels.insert(material.labels.end(), labels.begin(), labels.end());
    }
    material.records.insert(material.records.end(), more.begin(), more.end());
    material.split.train.resize(own);
    std::iota(material.split.train.begin(), material.split.train.end(), size_t(0));
    material.split.held_out.resize(more.size());
    std::iota(material.split.held_out.begin(), material.split.held_out.end(), own);
  } else if (read.labels) {
    material.split = splitByLabel(material.labels, options.held_out, options.seed);
  } else {
    material.split = splitTexts(material.records, options.held_out, options.seed);
  }
  material.notes.push_back(options.held_out_file.empty()
                               ? describe(material.split, material.records.size())
                               : fmt::format("held out: all of {}", options.held_out_file));
  return material;
}

Json splitJson(const Material &material, const FinetuneOptions &options) {
  Json lines = Json::array(), stretches = Json::array();
  for (size_t i : material.split.held_out) lines.push_back(material.records[i].line);
  for (const Stretch &stretch : material.split.stretches)
    stretches.push_back({{"line", material.records[stretch.record].line},
                         {"from_byte", stretch.begin},
                         {"to_byte", stretch.end}});
  return {{"data", options.held_out_file.empty() ? options.data : options.held_out_file},
          {"held_out_lines", lines},
          {"held_out_stretches", stretches}};
}

Result<Batches> languageBatches(const Material &material, const Tokenizer &tokenizer,
                                std::optional<TokenId> end, const FinetuneOptions &options, int64_t max_seq) {
  LINNET_ASSIGN(Streams streams, streamsOf(material.records, material.split, tokenizer, end, options.data));
  const std::vector<uint8_t> &trained = streams.train.learned;
  if (std::count(trained.begin(), trained.end(), 1) == 0)
    return errorf("{}: expected text to learn, found prompts only", options.data);
  Batches batches;
  batches.longest = std::min(max_seq, static_cast<int64_t>(streams.train.ids.size()) - 1);
  Result<std::unique_ptr<BatchSource>> source =
      packedBatches(std::move(streams.train), options.batch, max_seq, options.seed, true);
  if (!source) return errorf("{}: {}", options.data, source.error().message);
  batches.train = std::move(*source);
  const std::vector<uint8_t> &learned = streams.held_out.learned;
  if (std::find(learned.begin() + !learned.empty(), learned.end(), 1) != learned.end()) {
    LINNET_ASSIGN(batches.held_out,
                  packedBatches(std::move(streams.held_out), options.batch, max_seq, options.seed, false));
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
  for (size_t i : material.split.train)
    batches.longest = std::max(batches.longest, static_cast<int64_t>(all[i].ids.size()));
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
