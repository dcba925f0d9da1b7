// Options of text generation.
#pragma once
#include "arguments.h"
#include "linnet/model.h"

#include <functional>
#include <string>
#include <vector>

namespace linnet::cli {

class GenerationOption {
public:
  void add(CLI::App &command);
  /// Checks the options without a model. Faults are usage errors.
  void check();
  /// The model's settings, overridden by the given options. An option of sampling without sampling is a usage
  /// error.
  GenerateOptions over(const Model &model) const;
  /// Whether --max-new-tokens was given.
  bool limits() const { return most->count() > 0; }

private:
  GenerateOptions given;
  bool sample = false, greedy = false;
  std::string end_ids;
  CLI::Option *ends = nullptr, *most = nullptr;
  std::vector<CLI::Option *> of_drawing;
  /// Each function copies one option's value if it was given.
  std::vector<std::pair<CLI::Option *, std::function<void(GenerateOptions &)>>> overrides;
};

/// "drawn with seed 3: temperature 0.8, top_k 50, top_p 1"
std::string drawingText(const GenerateOptions &options);

} // namespace linnet::cli
