// Types, folds and gradients of the elementwise ops.
#include "ir/Gradients.h"
#include "ir/Linnet.h"
#include "ir/Shapes.h"
#include "support/activation.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/Matchers.h"

#include <cmath>

using namespace mlir;

namespace linnet::ir {
namespace {

/// The common rule of binary ops: equal element types, NumPy's broadcast.
LogicalResult inferBinary(std::optional<Location> loc, StringRef op, ValueRange operands,
                          SmallVectorImpl<Type> &inferred) {
  Type lhs = operands[0].getType(), rhs = operands[1].getType();
  Type lhs_element = getElementTypeOrSelf(lhs), rhs_element = getElementTypeOrSelf(rhs);
  if (lhs_element != rhs_element)
    return emitOptionalError(loc, "'", op, "' op lhs and rhs: element types differ: ", lhs_element, " and ",
                             rhs_element);
  auto lhs_tensor = llvm::dyn_cast<RankedTensorType>(lhs), rhs_tensor = llvm::dyn_cast<RankedTensorType>(rhs);
  if (!lhs_tensor != !rhs_tensor)
    return emitOptionalError(loc, "'", op,
                             "' op lhs and rhs are expected to be both tensors or both scalars");
  if (!lhs_tensor) {
    inferred.push_back(lhs);
    return success();
  }
  auto shape = broadcast(shapeOf(lhs_tensor), shapeOf(rhs_tensor));
  if (!shape)
    return emitOptionalError(loc, "'", op, "' op lhs ", describe(lhs_tensor), " and rhs ",
                             describe(rhs_tensor), " do not broadcast");
  inferred.push_back(makeType(*shape, lhs_element));
  return success();
}

/// The value of a splat or scalar float constant; nothing for other attributes.
std::optional<double> splatOf(Attribute attribute) {
  if (auto value = llvm::dyn_cast_or_null<FloatAttr>(attribute)) return value.getValueAsDouble();
  if (auto dense = llvm::dyn_cast_or_null<DenseFPElementsAttr>(attribute); dense && dense.isSplat())
    return dense.getSplatValue<APFloat>().convertToDouble();
  return std::nullopt;
}

/// A splat or scalar of f32 `type`; null for other types.
Attribute splatAttr(Type type, float value) {
  if (!getElementTypeOrSelf(type).isF32()) return {};
  if (auto tensor = llvm::dyn_cast<RankedTensorType>(type))
    return tensor.hasStaticShape() ? DenseElementsAttr::get(tensor, value) : Attribute();
  return FloatAttr::get(type, value);
}

template <class F> OpFoldResult foldBinary(Type type, Attribute lhs, Attribute rhs, F f) {
  auto a = splatOf(lhs), b = splatOf(rhs);
  if (!a || !b) return {};
  return splatAttr(type, f(static_cast<float>(*a), static_cast<float>(*b)));
}
template <class F> OpFoldResult foldUnary(Type type, Attribute operand, F f) {
  auto a = splatOf(operand);
  return a ? OpFoldResult(splatAttr(type, f(static_cast<float>(*a)))) : OpFoldResult();
}
/// `value` if it has the result's type, else nothing: a fold must not change the type.
OpFoldResult same(Value value, Type type) {
  return value.getType() == type ? OpFoldResult(value) : OpFoldResult();
}

} // namespace

#define LINNET_BINARY(Op)                                                                                    \
  LogicalResult Op::inferReturnTypes(MLIRContext *, std::optional<Location> loc, ValueRange operands,        \
                                     DictionaryAttr, OpaqueProperties, RegionRange,                          \
                                     SmallVectorImpl<Type> &inferred) {                                      \
    return inferBinary(loc, getOperationName(), operands, inferred);                                         \
  }
LINNET_BINARY(AddOp)
LINNET_BINARY(SubOp)
LINNET_BINARY(MulOp)
LINNET_BINARY(DivOp)
LINNET_BINARY(MaxOp)
LINNET_BINARY(MinOp)
#undef LINNET_BINARY

// x + -0 is x for every x. x + 0 turns -0 into 0; no model depends on that sign, so both fold.
OpFoldResult AddOp::fold(FoldAdaptor a) {
  if (auto rhs = splatOf(a.getRhs()); rhs && *rhs == 0) return same(getLhs(), getType());
  return foldBinary(getType(), a.getLhs(), a.getRhs(), [](float x, float y) { return x + y; });
}
OpFoldResult SubOp::fold(FoldAdaptor a) {
  if (auto rhs = splatOf(a.getRhs()); rhs && *rhs == 0) return same(getLhs(), getType());
  return foldBinary(getType(), a.getLhs(), a.getRhs(), [](float x, float y) { return x - y; });
}
// x * 0 does not fold: it is NaN if x is NaN or infinite.
OpFoldResult MulOp::fold(FoldAdaptor a) {
  if (auto rhs = splatOf(a.getRhs()); rhs && *rhs == 1) return same(getLhs(), getType());
  return foldBinary(getType(), a.getLhs(), a.getRhs(), [](float x, float y) { return x * y; });
}
OpFoldResult DivOp::fold(FoldAdaptor a) {
  if (auto rhs = splatOf(a.getRhs()); rhs && *rhs == 1) return same(getLhs(), getType());
  return foldBinary(getType(), a.getLhs(), a.getRhs(), [](float x, float y) { return x / y; });
}
OpFoldResult MaxOp::fold(FoldAdaptor a) {
  if (getLhs() == getRhs()) return getLhs();
  return foldBinary(getType(), a.getLhs(), a.getRhs(), [](float x, float y) { return std::fmax(x, y); });
}
OpFoldResult MinOp::fold(FoldAdaptor a) {
  if (getLhs() == getRhs()) return getLhs();
  return foldBinary(getType(), a.getLhs(), a.getRhs(), [](float x, float y) { return std::fmin(x, y); });
}
OpFoldResult NegOp::fold(FoldAdaptor a) {
  if (auto inner = getOperand().getDefiningOp<NegOp>()) return inner.getOperand();
  return foldUnary(getType(), a.getOperand(), [](float x) { return -x; });
}
OpFoldResult ReluOp::fold(FoldAdaptor a) {
  if (getOperand().getDefiningOp<ReluOp>()) return getOperand();
  return foldUnary(getType(), a.getOperand(), [](float x) { return std::fmax(x, 0.0f); });
}
OpFoldResult SiluOp::fold(FoldAdaptor a) {
  return foldUnary(getType(), a.getOperand(), [](float x) { return x / (1.0f + std::exp(-x)); });
}
OpFoldResult ExpOp::fold(FoldAdaptor a) {
  return foldUnary(getType(), a.getOperand(), [](float x) { return std::exp(x); });
}
OpFoldResult LogOp::fold(FoldAdaptor a) {
  return foldUnary(getType(), a.getOperand(), [](float x) { return std::log(x); });
}
OpFoldResult TanhOp::fold(FoldAdaptor a) {
  return foldUnary(getType(), a.getOperand(), [](float x) { return std::tanh(x); });
}
OpFoldResult ErfOp::fold(FoldAdaptor a) {
  return foldUnary(getType(), a.getOperand(), [](float x) { return std::erf(x); });
}
OpFoldResult SqrtOp::fold(FoldAdaptor a) {
  return foldUnary(getType(), a.getOperand(), [](float x) { return std::sqrt(x); });
}
OpFoldResult RsqrtOp::fold(FoldAdaptor a) {
  return foldUnary(getType(), a.getOperand(), [](float x) { return 1.0f / std::sqrt(x); });
}

LogicalResult CastOp::verify() {
  auto from = llvm::dyn_cast<RankedTensorType>(getOperand().getType());
  auto to = llvm::dyn_cast<RankedTensorType>(getType());
  if (!from != !to) return emitOpError("operand and result are expected to be both tensors or both scalars");
  if (from && (from.getShape() != to.getShape() || from.getEncoding() != to.getEncoding()))
    return emitOpError("operand ") << describe(from) << " and result " << describe(to) << ": shapes differ";
  return success();
}
OpFoldResult CastOp::fold(FoldAdaptor) { return same(getOperand(), getType()); }

//===- gradients ---------------------------------------------------------------------------------------===//

LogicalResult AddOp::buildGradient(OpBuilder &b, Gradients &gradients) {
  Value dy = gradients.of(b, getResult());
  if (failed(gradients.addReduced(b, getLhs(), dy))) return failure();
  return gradients.addReduced(b, getRhs(), dy);
}

LogicalResult SubOp::buildGradient(OpBuilder &b, Gradients &gradients) {
  Value dy = gradients.of(b, getResult());
  Arithmetic e(b, *this);
  if (failed(gradients.addReduced(b, getLhs(), dy))) return failure();
  return gradients.wanted(getRhs()) ? gradients.addReduced(b, getRhs(), e.neg(dy)) : success();
}

LogicalResult MulOp::buildGradient(OpBuilder &b, Gradients &gradients) {
  Value dy = gradients.of(b, getResult());
  Arithmetic e(b, *this);
  if (gradients.wanted(getLhs()) && failed(gradients.addReduced(b, getLhs(), e.mul(dy, getRhs()))))
    return failure();
  return gradients.wanted(getRhs()) ? gradients.addReduced(b, getRhs(), e.mul(dy, getLhs())) : success();
}

// d(a / c) = da / c - (a / c) dc / c
LogicalResult DivOp::buildGradient(OpBuilder &b, Gradients &gradients) {
  Value dy = gradients.of(b, getResult());
  Arithmetic e(b, *this);
  Value scaled = e.div(dy, getRhs());
  if (failed(gradients.addReduced(b, getLhs(), scaled))) return failure();
  if (!gradients.wanted(getRhs())) return success();
  return gradients.addReduced(b, getRhs(), e.neg(e.mul(scaled, getResult())));
}

// The larger operand gets the whole gradient. For a tie, the right one gets it.
LogicalResult MaxOp::buildGradient(OpBuilder &b, Gradients &gradients) {
  Value dy = gradients.of(b, getResult());
  Arithmetic e(b, *this);
  Value left = e.mul(dy, e.step(e.sub(getLhs(), getRhs())));
  if (failed(gradients.addReduced(b, getLhs(), left))) return failure();
  return gradients.wanted(getRhs()) ? gradients.addReduced(b, getRhs(), e.sub(dy, left)) : success();
}

LogicalResult MinOp::buildGradient(OpBuilder &b, Gradients &gradients) {
  Value dy = gradients.of(b, getResult());
  Arithmetic e(b, *this);
  Value left = e.mul(dy, e.step(e.sub(getRhs(), getLhs())));
  if (failed(gradients.addReduced(b, getLhs(), left))) return failure();
  return gradients.wanted(getRhs()) ? gradients.addReduced(b, getRhs(), e.sub(dy, left)) : success();
}

LogicalResult NegOp::buildGradient(OpBuilder &b, Gradients &gradients) {
  Value dy = gradients.of(b, getResult());
  Arithmetic e(b, *this);
  gradients.add(b, getOperand(), e.neg(dy));
  return success();
}

LogicalResult ExpOp::buildGradient(OpBuilder &b, Gradients &gradients) {
  Value dy = gradients.of(b, getResult());
  Arithmetic e(b, *this);
  gradients.add(b, getOperand(), e.mul(dy, getResult()));
  return success();
}

LogicalResult LogOp::buildGradient(OpBuilder &b, Gradients &gradients) {
  Value dy = gradients.of(b, getResult());
  Arithmetic e(b, *this);
  gradients.add(b, getOperand(), e.div(dy, getOperand()));
  return success();
}

LogicalResult TanhOp::buildGradient(OpBuilder &b, Gradients &gradients) {
  Value dy = gradients.of(b, getResult());
  Arithmetic e(b, *this);
  gradients.add(b, getOperand(), e.sub(dy, e.mul(dy, e.mul(getResult(), getResult()))));
  return success();
}

// 2 / sqrt(pi) e^(-x^2)
LogicalResult ErfOp::buildGradient(OpBuilder &b, Gradients &gradients) {
  Value dy = gradients.of(b, getResult());
  Arithmetic e(b, *this);
  Value bell = e.exp(e.neg(e.mul(getOperand(), getOperand())));
  gradients.add(b, getOperand(), e.mul(dy, e.mul(bell, 2 / std::sqrt(M_PI))));
  return success();
}

LogicalResult SqrtOp::buildGradient(OpBuilder &b, Gradients &gradients) {
  Value dy = gradients.of(b, getResult());
  Arithmetic e(b, *this);
  gradients.add(b, getOperand(), e.div(e.mul(dy, 0.5), getResult()));
  return success();
}

// -x^(-3/2) / 2 = -y / (2 x)
LogicalResult RsqrtOp::buildGradient(OpBuilder &b, Gradients &gradients) {
  Value dy = gradients.of(b, getResult());
  Arithmetic e(b, *this);
  gradients.add(b, getOperand(), e.mul(e.div(e.mul(dy, getResult()), getOperand()), -0.5));
  return success();
}

LogicalResult ReluOp::buildGradient(OpBuilder &b, Gradients &gradients) {
  Value dy = gradients.of(b, getResult());
  Arithmetic e(b, *this);
  gradients.add(b, getOperand(), e.mul(dy, e.step(getOperand())));
  return success();
}

LogicalResult SiluOp::buildGradient(OpBuilder &b, Gradients &gradients) {
  Value dy = gradients.of(b, getResult());
  Arithmetic e(b, *this);
  gradients.add(b, getOperand(), e.mul(dy, e.sigmoidLinearSlope(getOperand(), kSiluSlope)));
  return success();
}

LogicalResult GeluOp::buildGradient(OpBuilder &b, Gradients &gradients) {
  Value dy = gradients.of(b, getResult());
  Arithmetic e(b, *this);
  Value x = getOperand(), slope;
  if (getForm() == GeluForm::erf) { // Phi(x) + x phi(x)
    Value area = e.mul(e.add(b.create<ErfOp>(getLoc(), e.mul(x, std::sqrt(0.5))), e.number(1)), 0.5);
    Value bell = e.mul(e.exp(e.mul(e.mul(x, x), -0.5)), 1 / std::sqrt(2 * M_PI));
    slope = e.add(area, e.mul(x, bell));
  } else if (getForm() == GeluForm::quick) {
    slope = e.sigmoidLinearSlope(x, kGeluQuickSlope);
  } else { // (1 + t) / 2 + x (1 - t^2) (1 + 3 * 0.044715 x^2) sqrt(2 / pi) / 2, t = tanh(...)
    double c = std::sqrt(2 / M_PI);
    Value square = e.mul(x, x);
    Value inner = e.mul(x, e.add(e.mul(square, c * 0.044715), e.number(c)));
    Value t = b.create<TanhOp>(getLoc(), inner);
    Value steep =
        e.mul(e.sub(e.number(1), e.mul(t, t)), e.add(e.mul(square, 1.5 * c * 0.044715), e.number(0.5 * c)));
    slope = e.add(e.mul(e.add(t, e.number(1)), 0.5), e.mul(x, steep));
  }
  gradients.add(b, x, e.mul(dy, slope));
  return success();
}

LogicalResult CastOp::buildGradient(OpBuilder &b, Gradients &gradients) {
  Value dy = gradients.of(b, getResult());
  if (!llvm::isa<FloatType>(getElementTypeOrSelf(getOperand()))) return success();
  gradients.add(b, getOperand(), b.create<CastOp>(getLoc(), getOperand().getType(), dy));
  return success();
}

} // namespace linnet::ir
