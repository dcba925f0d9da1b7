// What the lowering makes of one op, and two such calls as one.
#pragma once
#include "backends/cpu/kernel.h"
#include "runtime/artifact/artifact_generated.h"

#include <memory>
#include <vector>

namespace linnet::cpu {

/// What one op turns into: a kernel, its operands, the number of work items.
struct Call {
  KernelSource kernel;
  std::vector<fb::RefT> args;
  Extent work;
  uint32_t grain = 1;
  std::unique_ptr<fb::GemmT> gemm = nullptr; ///< where the runtime may let a library do it
  /// An item reads no more of the first operand than its own part, which lies where the result's part does
  /// among all parts, and writes the last operand alone, none but its own part of it.
  bool itemwise = false;
  bool scatters = false; ///< itemwise, but an item writes to some other part of the last operand
};

/// Whether `next`, called behind `call`, may be done item by item with it: how many items of it make an item
/// of `call`; 0: it may not.
int64_t itemsInTurn(const Call &call, const Call &next);
/// Both, for each piece one after the other.
Call inTurn(Call call, Call next, int64_t items);

} // namespace linnet::cpu
