// How figures that were taken while other programs ran are marked, in every table.
#pragma once
#include <string_view>

namespace linnet::cli {

/// Stands before such a figure.
inline constexpr std::string_view kDisturbed = "~";
/// The line below a table with such figures. `share`: the largest that others took of the processors' time.
void putDisturbance(double share);

} // namespace linnet::cli
