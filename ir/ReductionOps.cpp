// Verifiers and result types of normalization and reductions.
#include "ir/Linnet.h"
#include "ir/Shapes.h"
#include "ir/Verify.h"

#include "mlir/IR/Builders.h"

using namespace mlir;

namespace linnet::ir {

LogicalResult LayerNormOp::verify() {
  auto type = tensor(getOperand());
  if (type.getRank() < 1) return emitOpError("operand is a scalar");
  Dim last = shapeOf(type).back();
  if (failed(expectShape(*this, "gain", getGain(), {last}))) return failure();
  return expectShape(*this, "bias", getBias(), {last});
}

LogicalResult RmsNormOp::verify() {
  auto type = tensor(getOperand());
  if (type.getRank() < 1) return emitOpError("operand is a scalar");
  return expectShape(*this, "gain", getGain(), {shapeOf(type).back()});
}

LogicalResult ReduceOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc, Adaptor a,
                                         SmallVectorImpl<Type> &inferred) {
  auto type = llvm::cast<RankedTensorType>(a.getOperand().getType());
  SmallVector<Dim> shape = shapeOf(type);
  int64_t dim = a.getDim();
  if (dim < 0 || dim >= type.getRank())
    return emitOptionalError(loc, "'linnet.reduce' op dim is ", dim, ", operand ", describe(type),
                             " has no such dimension");
  shape[dim] = Dim{1, {}};
  inferred.push_back(makeType(shape, type.getElementType()));
  return success();
}
LogicalResult ReduceOp::verify() { return success(); }

LogicalResult ArgmaxOp::inferReturnTypes(MLIRContext *context, std::optional<Location> loc, Adaptor a,
                                         SmallVectorImpl<Type> &inferred) {
  auto type = llvm::cast<RankedTensorType>(a.getOperand().getType());
  if (type.getRank() < 1) return emitOptionalError(loc, "'linnet.argmax' op operand is a scalar");
  SmallVector<Dim> shape = shapeOf(type);
  shape.pop_back();
  inferred.push_back(makeType(shape, IntegerType::get(context, 32)));
  return success();
}
LogicalResult ArgmaxOp::verify() { return success(); }

LogicalResult SampleOp::inferReturnTypes(MLIRContext *context, std::optional<Location> loc, Adaptor a,
                                         SmallVectorImpl<Type> &inferred) {
  auto type = llvm::cast<RankedTensorType>(a.getLogits().getType());
  if (type.getRank() != 2)
    return emitOptionalError(loc, "'linnet.sample' op logits is ", describe(type), ", expected 2 dimensions");
  inferred.push_back(makeType(ArrayRef<Dim>{shapeOf(type)[0]}, IntegerType::get(context, 32)));
  return success();
}
LogicalResult SampleOp::verify() {
  const Dim rows = shapeOf(tensor(getLogits()))[0];
  for (auto [name, value] :
       {std::pair("temperature", getTemperature()), std::pair("top_k", getTopK()),
        std::pair("top_p", getTopP()), std::pair("position", getPosition()), std::pair("copy", getCopy())})
    if (failed(expectShape(*this, name, value, {rows}))) return failure();
  return expectShape(*this, "seed", getSeed(), {Dim{2, {}}});
}

LogicalResult PoolOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc, Adaptor a,
                                       SmallVectorImpl<Type> &inferred) {
  auto type = llvm::cast<RankedTensorType>(a.getOperand().getType());
  if (type.getRank() != 3)
    return emitOptionalError(loc, "'linnet.pool' op operand is ", describe(type), ", expected 3 dimensions");
  SmallVector<Dim> shape = shapeOf(type);
  inferred.push_back(makeType(ArrayRef<Dim>{shape[0], shape[2]}, type.getElementType()));
  return success();
}
LogicalResult PoolOp::verify() {
  return expectShape(*this, "length", getLength(), {shapeOf(tensor(getOperand()))[0]});
}

} // namespace linnet::ir
