// The name that somebody probably meant.
#pragma once
#include <string>
#include <vector>

namespace linnet {

/// "; did you mean X?", or nothing where no name is near.
std::string suggestion(const std::string &typed, const std::vector<std::string> &names);

} // namespace linnet
