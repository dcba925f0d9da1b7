// When each buffer of an entry is alive: shared by the planner of memory and the check of a plan.
#pragma once
#include "ir/Linnet.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SmallVector.h"

namespace linnet {

/// Lives from the op that writes it to the last that reads it, both included: a result never shares memory
/// with an operand of its own op (but for the exception that planners make of elementwise ops).
struct Lifetime {
  mlir::Value base; ///< the value that owns the buffer: no view, no in-place update
  int first, last;  ///< positions of ops in the block; last is the block's end for what is returned
};

/// Lifetimes of all op results of the entry's one block that own a buffer, in the order of definition; reads
/// through views and in-place updates count as reads of the base. Ops of a group (linnet.joined) read until
/// its last op runs.
llvm::SmallVector<Lifetime> lifetimes(mlir::func::FuncOp function);

/// Position of each op in the entry's block.
llvm::DenseMap<mlir::Operation *, int> positions(mlir::func::FuncOp function);

/// Whether `op` may write its result over `operand`: elementwise, and each operand that reads that buffer
/// does so at the element that is written. The buffer must die there, which is the caller's to know.
bool canOverwrite(mlir::Operation *op, mlir::OpResult result, mlir::Value base);

} // namespace linnet
