// Checks shared by the verifiers of ops.
#pragma once
#include "ir/Linnet.h"
#include "ir/Shapes.h"

namespace linnet::ir {

/// An error of `op` that names the operand `what` unless `value` has the shape `expected`.
inline mlir::LogicalResult expectShape(mlir::Operation *op, llvm::StringRef what, mlir::Value value,
                                       llvm::ArrayRef<Dim> expected) {
  if (shapeOf(tensor(value)) == llvm::SmallVector<Dim>(expected)) return mlir::success();
  return op->emitOpError(what) << " is " << describe(tensor(value)) << ", expected " << describe(expected);
}
inline mlir::LogicalResult expectRank(mlir::Operation *op, llvm::StringRef what, mlir::Value value,
                                      int64_t rank) {
  if (tensor(value).getRank() == rank) return mlir::success();
  return op->emitOpError(what) << " is " << describe(tensor(value)) << ", expected " << rank << " dimensions";
}

} // namespace linnet::ir
