// The contents of a trial's operands: pseudo-random numbers, the same for the compiler's known answers and on
// a device.
#pragma once
#include "linnet/api.h"
#include "runtime/artifact/artifact_generated.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace linnet::vulkan {

/// The most bytes of an operand that are filled and compared.
constexpr uint64_t kMostOfOperand = uint64_t(4) << 20;

/// A dispatch at one size.
struct Problem {
  const fb::Program &program;
  const fb::Entry &entry;
  const fb::Dispatch &dispatch;
  std::vector<int64_t> symbols;
  bool positive = false; ///< all operands are positive: a square root of a negative operand would be NaN

  /// Bytes of operand `arg` that are filled and compared. The operand's shape is unknown, so this is an
  /// estimate: about twice the bytes that a problem of this size uses, if the operand grows with every
  /// symbol. The rest of the operand is the same before each run, so a low estimate weakens the test but does
  /// not make it wrong.
  LINNET_API uint64_t extentOf(uint32_t arg) const;
  /// Fills `bytes`, the first bytes of operand `arg`; counters are zero. Returns false for a weight, which
  /// keeps its values.
  LINNET_API bool fill(uint32_t arg, std::vector<std::byte> &bytes) const;
};

} // namespace linnet::vulkan
