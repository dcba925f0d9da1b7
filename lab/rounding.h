// Bounds for the effect of rounding on a module's outputs. The module runs a few times with each result
// changed by as much as its type rounds, up or down at random. The largest change of an output times a margin
// is its bound. So the bound follows from the graph, including sums, cancellation and sharp attention.
#pragma once
#include "lab/numbers.h"
#include "lab/widen.h"

namespace linnet::lab {

struct Rounding {
  /// Also rounds results as they were before widen(): to f16, bf16 or integers, operands to bf16 or 8 bits.
  bool types = false;
  /// Error of a target's arithmetic in one op, relative to the largest element of its result. 0 for the
  /// interpreter, which sums in double.
  double device = 0;
};

/// The largest error of a target's kernel in one op. tests/ops verifies it.
inline constexpr double kDeviceRounding = 1e-5;

/// Bounds for each of the rounds: between two correct ways to compute `widened`, and with `types` between it
/// and the module that it was made from.
Result<std::vector<Bounds>> roundingBounds(const Widened &widened, const Rounds &rounds,
                                           const reference::WeightProvider &weights,
                                           const Rounding &rounding);

} // namespace linnet::lab
