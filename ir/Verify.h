// Checks shared by the verifiers of ops.
#pragma once
#include "ir/Linnet.h"
#include "ir/Shapes.h"

#include <cmath>

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

/// Checks `window` of an op that reads keys: at least 0, and only with `causal`.
mlir::LogicalResult verifyWindow(mlir::Operation *op, int64_t window, bool causal);
/// Checks the key heads and the attributes that `attention` and its gradient share. q (B, T, H, D), k and v
/// (B, G, S, D), where G divides H. The ranks are checked, too.
template <class Op> mlir::LogicalResult verifyHeads(Op op) {
  if (failed(expectRank(op, "q", op.getQ(), 4)) || failed(expectRank(op, "k", op.getK(), 4)))
    return mlir::failure();
  const llvm::SmallVector<Dim> q = shapeOf(tensor(op.getQ())), k = shapeOf(tensor(op.getK()));
  if (failed(expectShape(op, "k", op.getK(), {q[0], k[1], k[2], q[3]}))) return mlir::failure();
  const bool divides = !q[2].name && !k[1].name && k[1].size > 0 && q[2].size % k[1].size == 0;
  if (!divides && !(q[2] == k[1]))
    return op.emitOpError("k is ") << describe(k) << " and q is " << describe(q)
                                   << ": k's number of heads, dimension 1, does not divide q's, dimension 2";
  if (failed(expectShape(op, "v", op.getV(), k))) return mlir::failure();
  if (op.getLength() && failed(expectShape(op, "length", op.getLength(), {q[0]}))) return mlir::failure();
  const float cap = op.getCap().convertToFloat();
  if (!(cap >= 0 && std::isfinite(cap)))
    return op.emitOpError("cap is ") << cap << ", expected a finite number of at least 0";
  return verifyWindow(op, static_cast<int64_t>(op.getWindow()), op.getCausal());
}

} // namespace linnet::ir
