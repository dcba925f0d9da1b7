// Inside of finetune(): what is learned from, as batches.
#pragma once
#include "training/finetune.h"

#include <memory>

namespace linnet::training {

/// Records and their labels, read before anything is written: a file that cannot be used leaves nothing
/// behind.
struct Material {
  std::vector<Record> records;
  std::vector<int32_t> labels; ///< of a classifier
  LabelNames names;
  Split split;      ///< numbers in `records`
  std::string hash; ///< of the files, so that a run is resumed with the data it began with
};
Result<Material> readMaterial(const FinetuneOptions &options);

struct Batches {
  std::unique_ptr<BatchSource> train, held_out; ///< held_out may be missing
  size_t cut = 0;                               ///< texts that were longer than max_seq
};
Result<Batches> languageBatches(const Material &material, const Tokenizer &tokenizer,
                                const FinetuneOptions &options, int64_t max_seq);
Result<Batches> textBatches(const Material &material, const Tokenizer &tokenizer,
                            const FinetuneOptions &options, int64_t max_seq);
Batches embeddedBatches(const Material &material, const Features &features, const FinetuneOptions &options);

} // namespace linnet::training
