// Marks figures that were measured while other programs ran, in every table.
#pragma once
#include <string_view>

namespace linnet::cli {

/// Prefix of such a figure.
inline constexpr std::string_view kDisturbed = "~";
/// Prints the line that explains kDisturbed below a table. `share` is the largest share of processor time
/// that other processes took.
void putDisturbance(double share);

} // namespace linnet::cli
