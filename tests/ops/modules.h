// Texts of small modules, and a pipeline for them.
#pragma once
#include "passes/Passes.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace linnet::testing {

/// @main with arguments "name: type" and a body that returns `result` of type `type`.
std::string function(const std::vector<std::pair<std::string, std::string>> &arguments,
                     const std::string &body, const std::string &result, const std::string &type,
                     const std::string &bounds = "batch = 5, seq = 40");

/// The text with each name replaced, in the order of the names.
std::string replaced(std::string text, const std::map<std::string, std::string> &names);

/// The passes that correctness needs: no fusion, no packing.
PipelineSpec plainPipeline();

} // namespace linnet::testing
