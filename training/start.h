// The checkpoint that a run begins with: a copy of the model in f32, or a new model, in the run's directory.
#pragma once
#include "training/finetune.h"

#include <optional>
#include <string>
#include <vector>

namespace linnet::training {

struct Start {
  std::string path;
  std::vector<ParameterInfo> parameters;
  uint64_t count = 0; ///< of all parameters' elements
  Tokenizer tokenizer;
  int64_t positions = 0;                   ///< the longest text that the model takes, in tokens
  std::optional<TokenId> end_of_text = {}; ///< The tokenizer names it, or the model's configuration.
};

/// Makes it in `directory` unless it is there, and reads it. `labels` are a classifier's.
Result<Start> makeStart(const CompilerApi &compiler, const FinetuneOptions &options, const LabelNames &labels,
                        const std::string &directory);

} // namespace linnet::training
