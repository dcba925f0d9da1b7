// Suggests the intended name for a misspelt one.
#pragma once
#include <string>
#include <vector>

namespace linnet {

/// "; did you mean X?", or the empty string if no name is similar.
std::string suggestion(const std::string &typed, const std::vector<std::string> &names);

} // namespace linnet
