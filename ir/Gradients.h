// What a backward pass has gathered so far: the gradient of the loss by each value. Ops add to it through
// DifferentiableOpInterface::buildGradient, last op first; ir/Gradients.cpp has the rules.
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
  /// What has come together for `value` (of its type), or null where nothing has.
  mlir::Value of(mlir::OpBuilder &builder, mlir::Value value);

  // --- adding; values that are not wanted are passed over
  /// `gradient` has value's type.
  void add(mlir::OpBuilder &builder, mlir::Value value, mlir::Value gradient);
  /// `gradient` has a shape that value broadcasts to: it is summed over what was broadcast.
  mlir::LogicalResult addReduced(mlir::OpBuilder &builder, mlir::Value value, mlir::Value gradient);
  /// `gradient` is that of elements [offset, ...) of dimension `dim`. Slices that do not overlap become one
  /// concat.
  void addSlice(mlir::OpBuilder &builder, mlir::Value value, int64_t dim, int64_t offset,
                mlir::Value gradient);
  /// For ops that sum into an accumulator: what there is, or zeros; set() then says what it has become.
  /// `value` has a static shape.
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

/// A tensor of `like`'s type with `number` everywhere, whatever like's elements are.
mlir::Value filledLike(mlir::OpBuilder &builder, mlir::Value like, float number);
/// `value` broadcast to the shape of `like`, whose elements do not matter.
mlir::Value broadcastLike(mlir::OpBuilder &builder, mlir::Value value, mlir::Value like);

} // namespace linnet::ir
