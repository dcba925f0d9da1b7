// Inside of finetune(): what is learned from, as batches.
#pragma once
#include "support/json.h"
#include "training/finetune.h"

#include <memory>

namespace linnet::training {

/// Records and their labels, read before anything is written: a file that cannot be used leaves nothing
/// behind.
struct Material {
  std::vector<Record> records;
  std::vector<int32_t> labels; ///< of a classifier
  LabelNames names;
  Split split;                    ///< numbers in `records`
  std::string hash;               ///< of the files, so that a run is resumed with the data it began with
  std::vector<std::string> notes; ///< lines that say what was read and what is held out
};
/// `labels_hint` ends the error about a label that is none of options.labels.
Result<Material> readMaterial(const FinetuneOptions &options, const std::string &labels_hint = "");

/// run/split.json: which lines are held out, and which bytes of the texts of other lines.
Json splitJson(const Material &material, const FinetuneOptions &options);

struct Batches {
  std::unique_ptr<BatchSource> train, held_out; ///< held_out may be missing
  size_t cut = 0;                               ///< texts that were longer than max_seq
  int64_t longest = 0;                          ///< tokens of the longest row to train on
};
/// `end` follows each text (see streamOf).
Result<Batches> languageBatches(const Material &material, const Tokenizer &tokenizer,
                                std::optional<TokenId> end, const FinetuneOptions &options, int64_t max_seq);
Result<Batches> textBatches(const Material &material, const Tokenizer &tokenizer,
                            const FinetuneOptions &options, int64_t max_seq);
Batches embeddedBatches(const Material &material, const Features &features, const FinetuneOptions &options);

} // namespace linnet::training
