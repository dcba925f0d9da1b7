// Weights that show faults. Biases of 0, gains of 1, an identity matrix or two equal vectors hide that a pass
// drops, transposes or swaps them; such parameters are drawn for the laboratory.
#pragma once
#include "backends/reference/tensor.h"

#include <string_view>

namespace linnet::lab {

/// Whether a fault in how `weight` is used may show in no number: all elements are (nearly) the same or tiny,
/// half of them are 0, all rows or all columns are the same, or it is symmetric (a matrix that is its own
/// transpose, a vector that is its own reverse).
bool hidesFaults(const reference::Tensor &weight);

/// `stored`, except weights that hide faults or are equal to one that was read before: these are drawn, with
/// a seed that their name gives. Each weight is read once and kept. Drawn weights hide nothing, so that a
/// reproducer that holds them repeats the same numbers.
reference::WeightProvider withDrawn(reference::WeightProvider stored);

} // namespace linnet::lab
