// Verifiers, result types and gradients of the ops of training.
#include "ir/Gradients.h"
#include "ir/Linnet.h"
#include "ir/Shapes.h"
#include "ir/Verify.h"

#include "mlir/IR/Builders.h"

using namespace mlir;

namespace linnet::ir {
namespace {

/// All dimensions of `value` except the last.
SmallVector<Dim> leadingOf(Value value) {
  SmallVector<Dim> shape = shapeOf(tensor(value));
  if (!shape.empty()) shape.pop_back();
  return shape;
}

} // namespace

//===- loss --------------------------------------------------------------------------------------------===//

LogicalResult CrossEntropyOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc, Adaptor a,
                                               SmallVectorImpl<Type> &inferred) {
  auto type = llvm::cast<RankedTensorType>(a.getLogits().getType());
  if (type.getRank() < 1) return emitOptionalError(loc, "'linnet.cross_entropy' op logits is a scalar");
  SmallVector<Dim> shape = shapeOf(type);
  shape.pop_back();
  inferred.push_back(makeType(shape, type.getElementType()));
  return success();
}
LogicalResult CrossEntropyOp::verify() {
  return expectShape(*this, "labels", getLabels(), leadingOf(getLogits()));
}

LogicalResult CrossEntropyGradOp::verify() {
  if (tensor(getLogits()).getRank() < 1) return emitOpError("logits is a scalar");
  if (failed(expectShape(*this, "labels", getLabels(), leadingOf(getLogits())))) return failure();
  return expectShape(*this, "gradient", getGradient(), leadingOf(getLogits()));
}

LogicalResult DropoutOp::verify() {
  if (failed(expectShape(*this, "key", getKey(), {Dim{2, {}}}))) return failure();
  if (float rate = getRate().convertToFloat(); !(rate >= 0 && rate < 1))
    return emitOpError("rate is ") << rate << ", expected from 0 to less than 1";
  if (int64_t stream = static_cast<int64_t>(getStream()); stream < 0 || stream > UINT32_MAX)
    return emitOpError("stream is ") << stream << ", expected an unsigned number of 32 bits";
  return success();
}

//===- sums into an accumulator ------------------------------------------------------------------------===//

LogicalResult ContractOp::verify() {
  if (failed(expectRank(*this, "accumulator", getAccumulator(), 2))) return failure();
  SmallVector<Dim> sum = shapeOf(tensor(getAccumulator()));
  for (auto [name, value, last] :
       {std::tuple("lhs", getLhs(), sum[0]), std::tuple("rhs", getRhs(), sum[1])}) {
    SmallVector<Dim> expected = leadingOf(getLhs());
    expected.push_back(last);
    if (failed(expectShape(*this, name, value, expected))) return failure();
  }
  return success();
}

LogicalResult SumRowsOp::verify() {
  if (failed(expectRank(*this, "accumulator", getAccumulator(), 1))) return failure();
  SmallVector<Dim> expected = leadingOf(getOperand());
  expected.push_back(shapeOf(tensor(getAccumulator()))[0]);
  return expectShape(*this, "operand", getOperand(), expected);
}

LogicalResult ScatterAddOp::verify() {
  if (failed(expectRank(*this, "table", getTable(), 2))) return failure();
  SmallVector<Dim> expected = shapeOf(tensor(getIds()));
  expected.push_back(shapeOf(tensor(getTable()))[1]);
  return expectShape(*this, "rows", getRows(), expected);
}

//===- gradients of single ops -------------------------------------------------------------------------===//

LogicalResult LayerNormGradOp::verify() {
  if (tensor(getOperand()).getRank() < 1) return emitOpError("operand is a scalar");
  return expectShape(*this, "gain", getGain(), {shapeOf(tensor(getOperand())).back()});
}

LogicalResult AttentionGradOp::verify() { return verifyHeads(*this); }

LogicalResult PoolGradOp::verify() {
  if (failed(expectRank(*this, "like", getLike(), 3))) return failure();
  SmallVector<Dim> shape = shapeOf(tensor(getLike()));
  if (failed(expectShape(*this, "gradient", getGradient(), {shape[0], shape[2]}))) return failure();
  return expectShape(*this, "length", getLength(), {shape[0]});
}

//===- optimizer ---------------------------------------------------------------------------------------===//

LogicalResult AdamWOp::verify() {
  Dim one{1, {}};
  for (auto [name, value] : {std::pair("lr", getLr()), std::pair("scale", getScale()),
                             std::pair("m_scale", getMScale()), std::pair("v_scale", getVScale())})
    if (failed(expectShape(*this, name, value, {one}))) return failure();
  if (getStart() && failed(expectShape(*this, "start", getStart(), shapeOf(tensor(getParam())))))
    return failure();
  if (!getStart() && getPull().convertToFloat() != 0) return emitOpError("pull needs a start");
  for (auto [name, beta] : {std::pair("beta1", getBeta1()), std::pair("beta2", getBeta2())})
    if (float value = beta.convertToFloat(); !(value >= 0 && value < 1))
      return emitOpError(name) << " is " << value << ", expected from 0 to less than 1";
  return success();
}

//===- gradients ---------------------------------------------------------------------------------------===//

LogicalResult CrossEntropyOp::buildGradient(OpBuilder &b, Gradients &gradients) {
  Value dy = gradients.of(b, getResult());
  gradients.add(b, getLogits(), b.create<CrossEntropyGradOp>(getLoc(), getLogits(), getLabels(), dy));
  return success();
}

LogicalResult DropoutOp::buildGradient(OpBuilder &b, Gradients &gradients) {
  Value dy = gradients.of(b, getResult());
  gradients.add(b, getOperand(), b.create<DropoutOp>(getLoc(), dy, getKey(), getRateAttr(), getStreamAttr()));
  return success();
}

} // namespace linnet::ir
