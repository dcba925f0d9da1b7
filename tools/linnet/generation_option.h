// What a command line says about how a text is continued.
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
  /// Usage errors that need no model.
  void check();
  /// The model's own settings, and instead of them what was given. Usage error: an option of drawing where
  /// nothing is drawn.
  GenerateOptions over(const Model &model) const;

private:
  GenerateOptions given;
  bool sample = false, greedy = false;
  std::string end_ids;
  CLI::Option *ends = nullptr;
  std::vector<CLI::Option *> of_drawing;
  /// Copies one option's value if it was given.
  std::vector<std::pair<CLI::Option *, std::function<void(GenerateOptions &)>>> overrides;
};

/// "drawn with seed 3: temperature 0.8, top_k 50, top_p 1"
std::string drawingText(const GenerateOptions &options);

} // namespace linnet::cli
