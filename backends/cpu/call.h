// The kernel call that the lowering makes of one op, and the fusion of two calls.
#pragma once
#include "backends/cpu/kernel.h"
#include "runtime/artifact/artifact_generated.h"

#include <memory>
#include <vector>

namespace linnet::cpu {

/// The call that computes one op: a kernel, its operands, the number of work items.
struct Call {
  KernelSource kernel;
  std::vector<fb::RefT> args;
  Extent work;
  uint32_t grain = 1;
  /// set if the runtime may let its matmul library compute the call
  std::unique_ptr<fb::GemmT> gemm = nullptr;
  /// An item reads only its own part of the first operand. That part has the same position among all parts as the
  /// item's part of the result. An item writes only its own part of the last operand.
  bool itemwise = false;
  bool scatters = false; ///< as itemwise, but an item may write any part of the last operand
};

/// The number of items of `next` for each item of `call` if both can run item by item. 0 if they cannot. `next` is
/// called after `call`.
int64_t itemsInTurn(const Call &call, const Call &next);
/// One call that computes each item of `call`, then the `items` items of `next` that belong to it.
Call inTurn(Call call, Call next, int64_t items);

} // namespace linnet::cpu
