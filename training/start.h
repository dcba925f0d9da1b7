// The starting checkpoint of a run: a copy of the model in f32, or a new model, in the run's directory.
#pragma once
#include "training/finetune.h"

#include <optional>
#include <string>
#include <vector>

namespace linnet::training {

struct Start {
  std::string path;
  std::vector<ParameterInfo> parameters;
  uint64_t count = 0; ///< number of elements of all parameters
  Tokenizer tokenizer;
  int64_t positions = 0;                   ///< the model's longest text, in tokens
  std::optional<TokenId> end_of_text = {}; ///< from the tokenizer, else from the model's configuration
};

/// Creates the checkpoint in `directory` unless it exists, and reads it. `labels` are those of a classifier.
Result<Start> makeStart(const CompilerApi &compiler, const FinetuneOptions &options, const LabelNames &labels,
                        const std::string &directory);

} // namespace linnet::training
