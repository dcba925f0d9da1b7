// How far rounding may move the numbers of a module. The module runs a few times with each result off by as
// much as its type rounds, to a side that is drawn; what that makes of the outputs, times a margin, is their
// bound. So an output is held to what its own graph makes of rounding: sums, cancellation and sharp attention
// included.
#pragma once
#include "lab/numbers.h"
#include "lab/widen.h"

namespace linnet::lab {

struct Rounding {
  /// Results are also rounded as they were before widen(): to f16, bf16 or integers, operands to bf16 or 8
  /// bits.
  bool types = false;
  /// What a target's arithmetic may lose in one op, of the largest element of its result. 0 for the
  /// interpreter, which sums in double.
  double device = 0;
};

/// What the kernels of a target may lose in one op (tests/ops holds them to it).
inline constexpr double kDeviceRounding = 1e-5;

/// Bounds for each of the rounds: between two right ways to compute `widened`, and with `types` between it
/// and the module that it was made from.
Result<std::vector<Bounds>> roundingBounds(const Widened &widened, const Rounds &rounds,
                                           const reference::WeightProvider &weights,
                                           const Rounding &rounding);

} // namespace linnet::lab
