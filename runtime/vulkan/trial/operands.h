// What a trial's operands hold: pseudo-random numbers, the same where known answers are computed and on a
// device.
#pragma once
#include "linnet/api.h"
#include "runtime/artifact/artifact_generated.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace linnet::vulkan {

/// Bytes of an operand that are filled and compared at most.
constexpr uint64_t kMostOfOperand = uint64_t(4) << 20;

/// A dispatch at one size.
struct Problem {
  const fb::Program &program;
  const fb::Entry &entry;
  const fb::Dispatch &dispatch;
  std::vector<int64_t> symbols;
  bool positive = false; ///< all operands are positive: a square root of a negative operand would be NaN

  /// Bytes of operand `arg` that are filled and compared: about twice what a problem of this size touches, if
  /// the operand grows with every symbol. An operand's shape is not known here. The rest of the operand is
  /// the same before each run, so too small a guess makes a weaker test and not a wrong one.
  LINNET_API uint64_t extentOf(uint32_t arg) const;
  /// The first bytes of operand `arg`; counters are zero. False: a weight, which keeps its values.
  LINNET_API bool fill(uint32_t arg, std::vector<std::byte> &bytes) const;
};

} // namespace linnet::vulkan
