// Verifiers, result types and gradients of normalization and reductions.
#include "ir/Gradients.h"
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

//===- gradients ---------------------------------------------------------------------------------------===//

LogicalResult LayerNormOp::buildGradient(OpBuilder &b, Gradients &gradients) {
  Value dy = gradients.of(b, getResult());
  Arithmetic e(b, *this);
  Value x = getOperand();
  if (gradients.wanted(x))
    gradients.add(b, x, b.create<LayerNormGradOp>(getLoc(), x, getGain(), dy, getEpsilonAttr()));
  if (gradients.wanted(getGain())) {
    Value one = filledLike(b, getGain(), 1), zero = filledLike(b, getGain(), 0);
    Value normal = b.create<LayerNormOp>(getLoc(), x, one, zero, getEpsilonAttr());
    if (failed(gradients.addReduced(b, getGain(), e.mul(dy, normal)))) return failure();
  }
  return gradients.addReduced(b, getBias(), dy);
}

// r = 1 / sqrt(mean(x^2) + epsilon), g = dy gain: dx = r (g - x r^2 mean(g x)), dgain = sum of dy x r
LogicalResult RmsNormOp::buildGradient(OpBuilder &b, Gradients &gradients) {
  Value dy = gradients.of(b, getResult()), x = getOperand();
  Arithmetic e(b, *this);
  const int64_t last = tensor(x).getRank() - 1;
  auto mean = [&](Value value) {
    return b.create<ReduceOp>(getLoc(), ReduceKind::mean, value, last).getResult();
  };
  Value r = b.create<RsqrtOp>(getLoc(), e.add(mean(e.mul(x, x)), e.number(getEpsilon().convertToFloat())));
  if (gradients.wanted(x)) {
    Value g = e.mul(dy, getGain());
    Value along = e.mul(mean(e.mul(g, x)), e.mul(r, r));
    gradients.add(b, x, e.mul(e.sub(g, e.mul(x, along)), r));
  }
  if (!gradients.wanted(getGain())) return success();
  return gradients.addReduced(b, getGain(), e.mul(dy, e.mul(x, r)));
}

// y (dy - sum_j y dy)
LogicalResult SoftmaxOp::buildGradient(OpBuilder &b, Gradients &gradients) {
  Value dy = gradients.of(b, getResult());
  Arithmetic e(b, *this);
  Value product = e.mul(getResult(), dy);
  Value sum = b.create<ReduceOp>(getLoc(), ReduceKind::sum, product, tensor(product).getRank() - 1);
  gradients.add(b, getOperand(), e.mul(getResult(), e.sub(dy, sum)));
  return success();
}

LogicalResult ReduceOp::buildGradient(OpBuilder &b, Gradients &gradients) {
  Value dy = gradients.of(b, getResult());
  Arithmetic e(b, *this);
  if (getKind() == ReduceKind::max) return emitOpError("of kind max cannot be trained through");
  int64_t size = tensor(getOperand()).getDimSize(static_cast<unsigned>(getDim()));
  if (getKind() == ReduceKind::mean) {
    if (ShapedType::isDynamic(size))
      return emitOpError("of kind mean along a dynamic dimension cannot be trained through");
    dy = e.mul(dy, 1 / static_cast<double>(size));
  }
  gradients.add(b, getOperand(), broadcastLike(b, dy, getOperand()));
  return success();
}

LogicalResult PoolOp::buildGradient(OpBuilder &b, Gradients &gradients) {
  Value dy = gradients.of(b, getResult());
  gradients.add(b, getOperand(), b.create<PoolGradOp>(getLoc(), getMode(), dy, getLength(), getOperand()));
  return success();
}

} // namespace linnet::ir
