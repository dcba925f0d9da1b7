// Lifetimes of the buffers of an entry, for linnet-plan-memory and the check of a plan.
#pragma once
#include "ir/Linnet.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SmallVector.h"

namespace linnet {

/// A buffer is alive from the op that writes it to the last one that reads it, both included. So a result
/// never shares memory with an operand of its op, unless canOverwrite() allows it.
struct Lifetime {
  mlir::Value base; ///< the value that owns the buffer; not a view or an in-place update
  int first, last;  ///< positions of ops in the block; for a returned value, last is the block's end
};

/// Lifetimes of all op results that own a buffer, in the order of definition. The entry has one block. Reads
/// through views and in-place updates count as reads of the base. The operands of a group (linnet.joined) are
/// alive until its last op.
llvm::SmallVector<Lifetime> lifetimes(mlir::func::FuncOp function);

/// Position of each op in the entry's block.
llvm::DenseMap<mlir::Operation *, int> positions(mlir::func::FuncOp function);

/// Whether `op` may write `result` over the buffer of `base`: `op` is elementwise, and each operand in that
/// buffer is read only at the index that is written. The caller ensures that the buffer dies at `op`.
bool canOverwrite(mlir::Operation *op, mlir::OpResult result, mlir::Value base);

} // namespace linnet
