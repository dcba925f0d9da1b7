// A checkpoint made from another: some tensors replaced (trained), some new (a classifier's head).
#pragma once
#include "frontend/checkpoint/checkpoint.h"
#include "frontend/checkpoint/safetensors.h"
#include "support/result.h"

#include <cstdint>
#include <map>
#include <string>

namespace linnet {

struct Derivation {
  ModelDescription config;                    ///< of the new one
  std::map<std::string, TensorView> replaced; ///< by canonical name
  uint64_t seed = 0;                          ///< of tensors that neither has
  StorageType type = StorageType::f32;        ///< or f16, bf16
};

/// Writes config.json, model.safetensors and the base's tokenizer into `directory`, which exists: each file
/// whole or not at all, config.json last, so that there is a checkpoint when all of it is there. A tensor
/// comes from `replaced`, else from `base`, else it is drawn at random as initCheckpoint draws it.
Result<void> deriveCheckpoint(const Checkpoint &base, const Derivation &derivation,
                              const std::string &directory);

/// The language model in `base`, in f32; of a classifier, the model under its head.
Result<void> makeLanguageModel(const Checkpoint &base, const std::string &directory);

/// A classifier of these labels: its head as `config.head` says. The body's weights, and a head of the same
/// shape with the same labels, are `base`'s.
Result<void> makeClassifier(const Checkpoint &base, const std::map<int64_t, std::string> &labels,
                            const ClassifierHead &head, uint64_t seed, const std::string &directory);

/// `base` with the tensors "param.NAME" of a safetensors file in the place of its own. `as_language_model`:
/// without the classifier's head.
Result<void> writeTrained(const Checkpoint &base, const std::string &parameters, StorageType type,
                          bool as_language_model, const std::string &directory);

} // namespace linnet
