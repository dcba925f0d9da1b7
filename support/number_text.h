// Numbers in messages.
#pragma once
#include <cmath>
#include <fmt/format.h>
#include <string>

namespace linnet {

/// A NaN is "nan" whatever its sign, which depends on the instructions that made it.
inline std::string numberText(double value) { return std::isnan(value) ? "nan" : fmt::format("{}", value); }

} // namespace linnet
