// The gradients of the loss by each value, accumulated during a backward pass. Ops add to them through
// DifferentiableOpInterface::buildGradient, last op first. The rules, vector-Jacobian products, are next to the
// ops' verifiers. In their comments, x and w are operands, y is the result, and dy is the gradient of the loss
// by y. Each rule builds dx = dy * (derivative of y by x).
#pragma once
#include "ir/Linnet.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"

namespace linnet::ir {

class Gradients {
public:
  /// Gradients are built for values in `wanted` only.
  explicit Gradients(llvm::DenseSet<mlir::Value> wanted) : wanted_values(std::move(wanted)) {}

  bool wanted(mlir::Value value) const { return wanted_values.contains(value); }
  /// The sum of the gradients added for `value`, of its type; null if none was added.
  mlir::Value of(mlir::OpBuilder &builder, mlir::Value value);

  // The functions below ignore values that are not wanted.
  /// `gradient` has value's type.
  void add(mlir::OpBuilder &builder, mlir::Value value, mlir::Value gradient);
  /// `gradient` has a shape that value broadcasts to. It is summed over the broadcast dimensions.
  mlir::LogicalResult addReduced(mlir::OpBuilder &builder, mlir::Value value, mlir::Value gradient);
  /// `gradient` belongs to elements [offset, ...) of dimension `dim`. Disjoint slices become one concat.
  void addSlice(mlir::OpBuilder &builder, mlir::Value value, int64_t dim, int64_t offset,
                mlir::Value gradient);
  /// For ops that sum into an accumulator: the gradient so far, or zeros. The caller passes the new sum to
  /// set(). `value` has a static shape.
  mlir::Value accumulator(mlir::OpBuilder &builder, mlir::Value value);
  void set(mlir::Value value, mlir::Value gradient) { gradients[value] = gradient; }

private:
  struct Slice {
    int64_t dim, offset, size;
    mlir::Value gradient;
  };
  mlir::Value joined(mlir::OpBuilder &builder, mlir::Value value, llvm::ArrayRef<Slice> disjoint);

  llvm::DenseSet<mlir::Value> wanted_values;
  llvm::DenseMap<mlir::Value, mlir::Value> gradients;
  llvm::DenseMap<mlir::Value, llvm::SmallVector<Slice, 4>> slices;
};

/// Builds elementwise ops for a rule, at the location and with the element type of `op`, which has one result.
class Arithmetic {
public:
  Arithmetic(mlir::OpBuilder &builder, mlir::Operation *op)
      : builder(builder), loc(op->getLoc()), element(mlir::getElementTypeOrSelf(op->getResult(0))) {}

  /// A constant of one element, which broadcasts.
  mlir::Value number(double value);
  mlir::Value add(mlir::Value x, mlir::Value y) { return builder.create<AddOp>(loc, x, y); }
  mlir::Value sub(mlir::Value x, mlir::Value y) { return builder.create<SubOp>(loc, x, y); }
  mlir::Value mul(mlir::Value x, mlir::Value y) { return builder.create<MulOp>(loc, x, y); }
  mlir::Value mul(mlir::Value x, double y) { return mul(x, number(y)); }
  mlir::Value div(mlir::Value x, mlir::Value y) { return builder.create<DivOp>(loc, x, y); }
  mlir::Value neg(mlir::Value x) { return builder.create<NegOp>(loc, x); }
  mlir::Value exp(mlir::Value x) { return builder.create<ExpOp>(loc, x); }
  /// 1 if x > 0, else 0. A positive x below the smallest normal number gives a value between.
  mlir::Value step(mlir::Value x);
  /// The derivative of x s(x) with s(x) = 1 / (1 + e^(-k x)).
  mlir::Value sigmoidLinearSlope(mlir::Value x, double k);

private:
  mlir::OpBuilder &builder;
  mlir::Location loc;
  mlir::Type element;
};

/// A tensor of `like`'s type whose elements are all `number`. Also correct if `like` holds NaN or infinity.
mlir::Value filledLike(mlir::OpBuilder &builder, mlir::Value like, float number);
/// `value` broadcast to the shape of `like`. The elements of `like` are not used.
mlir::Value broadcastLike(mlir::OpBuilder &builder, mlir::Value value, mlir::Value like);

} // namespace linnet::ir
