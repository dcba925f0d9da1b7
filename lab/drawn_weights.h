// Weights that show faults. Biases of 0, gains of 1, an identity matrix or two equal vectors hide that a pass
// drops, transposes or swaps them. lab/ replaces such parameters by random ones.
#pragma once
#include "backends/reference/tensor.h"

#include <set>
#include <string>
#include <string_view>

namespace linnet::lab {

/// Whether wrong uses of `weight` may change no number. That is so if all elements are (nearly) equal or
/// tiny, half of them are 0, all rows or all columns are equal, or the weight equals its transpose (a matrix)
/// or its reverse (a vector).
bool hidesFaults(const reference::Tensor &weight);

/// `stored`, except that weights which hide faults or equal an earlier one are replaced by random ones, with
/// a seed made from their name. Each weight is read once and kept. Drawn weights hide nothing, so a
/// reproducer that holds them gives the same numbers again. The weights `fixed` stay.
reference::WeightProvider withDrawn(reference::WeightProvider stored, std::set<std::string> fixed = {});

} // namespace linnet::lab
