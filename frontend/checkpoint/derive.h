// Derives a checkpoint from another one, with replaced (trained) and new tensors (a classifier's head).
#pragma once
#include "frontend/checkpoint/checkpoint.h"
#include "frontend/checkpoint/safetensors.h"
#include "support/result.h"

#include <cstdint>
#include <map>
#include <string>

namespace linnet {

struct Derivation {
  ModelDescription config;                    ///< of the new checkpoint
  std::map<std::string, TensorView> replaced; ///< by canonical name
  uint64_t seed = 0;                          ///< for tensors that are drawn at random
  StorageType type = StorageType::f32;        ///< f32, f16 or bf16
};

/// Writes config.json, model.safetensors and the base's tokenizer into `directory`, which must exist. Each
/// file is written atomically, config.json last, so the directory is a checkpoint only when it is complete. A
/// tensor comes from `replaced`, else from `base`, else it is drawn at random as initCheckpoint does.
Result<void> deriveCheckpoint(const Checkpoint &base, const Derivation &derivation,
                              const std::string &directory);

/// Writes the language model of `base` in f32. For a classifier, that is the model without its head.
Result<void> makeLanguageModel(const Checkpoint &base, const std::string &directory);

/// Writes a classifier with these labels and this head. The body's weights come from `base`. So does the head
/// if it has the same shape and labels.
Result<void> makeClassifier(const Checkpoint &base, const std::map<int64_t, std::string> &labels,
                            const ClassifierHead &head, uint64_t seed, const std::string &directory);

/// Writes `base` with its tensors replaced by "param.NAME" of the safetensors file `parameters`.
/// `as_language_model` drops a classifier's head.
Result<void> writeTrained(const Checkpoint &base, const std::string &parameters, StorageType type,
                          bool as_language_model, const std::string &directory);

} // namespace linnet
