// The vector-Jacobian products. In comments, x and w are operands, y is the result, and dy is the gradient of
// the loss by y. Each rule builds dx = dy * (derivative of y by x).
#include "ir/Gradients.h"

#include "ir/Shapes.h"
#include "ir/Verify.h"
#include "support/activation.h"

#include "llvm/ADT/STLExtras.h"

#include <cmath>
#include <limits>

using namespace mlir;

namespace linnet::ir {

//===- accumulation ------------------------------------------------------------------------------------===//

namespace {

/// A scalar constant inside a region, or a constant tensor of one element that broadcasts.
Value number(OpBuilder &b, Location loc, Type element, double value) {
  auto type = RankedTensorType::get({1}, element);
  APFloat rounded(value);
  bool lost;
  rounded.convert(llvm::cast<FloatType>(element).getFloatSemantics(), APFloat::rmNearestTiesToEven, &lost);
  return b.create<ConstantOp>(loc, type, DenseElementsAttr::get(type, rounded));
}

Type elementOf(Value value) { return tensor(value).getElementType(); }

/// A tensor of like's shape whose elements are `fill`, or the broadcast `value` if there is no `fill`.
Value spread(OpBuilder &b, Value like, Value value, std::optional<double> fill) {
  SmallVector<Value> inputs = {like};
  if (value) inputs.push_back(value);
  return b
      .create<FusedOp>(like.getLoc(), TypeRange{plainType(tensor(like))}, inputs,
                       [&](OpBuilder &inner, Location loc, ValueRange scalars) -> SmallVector<Value> {
                         if (!fill) return {scalars[1]};
                         auto element = FloatAttr::get(elementOf(like), *fill);
                         return {inner.create<ConstantOp>(loc, element.getType(), element)};
                       })
      .getResult(0);
}

} // namespace

Value filledLike(OpBuilder &b, Value like, float value) {
  RankedTensorType type = plainType(tensor(like));
  if (!type.hasStaticShape()) return spread(b, like, {}, value);
  auto element = FloatAttr::get(type.getElementType(), value);
  return b.create<ConstantOp>(like.getLoc(), type, DenseElementsAttr::get(type, Attribute(element)));
}

Value broadcastLike(OpBuilder &b, Value value, Value like) {
  return shapeOf(tensor(value)) == shapeOf(tensor(like)) ? value : spread(b, like, value, {});
}

void Gradients::add(OpBuilder &b, Value value, Value gradient) {
  if (!wanted(value)) return;
  Value &sum = gradients[value];
  sum = sum ? b.create<AddOp>(gradient.getLoc(), sum, gradient) : gradient;
}

LogicalResult Gradients::addReduced(OpBuilder &b, Value value, Value gradient) {
  if (!wanted(value)) return success();
  SmallVector<Dim> to = shapeOf(tensor(value)), from = shapeOf(tensor(gradient));
  if (to == from) return add(b, value, gradient), success();
  Location loc = gradient.getLoc();
  if (to.size() == 1 && to[0] == from.back()) {
    set(value, b.create<SumRowsOp>(loc, accumulator(b, value), gradient));
    return success();
  }
  size_t missing = from.size() - to.size();
  for (size_t i = 0; i < from.size(); ++i)
    if (i < missing || !(to[i - missing] == from[i]))
      gradient = b.create<ReduceOp>(loc, ReduceKind::sum, gradient, static_cast<int64_t>(i));
  auto type = tensor(value);
  if (missing && !type.hasStaticShape())
    return emitError(loc, "no gradient by an operand ")
           << describe(type) << " that broadcasts to " << describe(from);
  if (missing) gradient = b.create<ReshapeOp>(loc, plainType(type), gradient);
  add(b, value, gradient);
  return success();
}

void Gradients::addSlice(OpBuilder &, Value value, int64_t dim, int64_t offset, Value gradient) {
  if (wanted(value))
    slices[value].push_back({dim, offset, tensor(gradient).getDimSize(static_cast<unsigned>(dim)), gradient});
}

Value Gradients::accumulator(OpBuilder &b, Value value) {
  Value sum = of(b, value);
  return sum ? sum : filledLike(b, value, 0);
}

Value Gradients::of(OpBuilder &b, Value value) {
  auto found = slices.find(value);
  if (found == slices.end()) return gradients.lookup(value);
  SmallVector<Slice, 4> rest = std::move(found->second), now, later;
  slices.erase(found);
  llvm::stable_sort(rest, [](const Slice &x, const Slice &y) {
    return std::pair(x.dim, x.offset) < std::pair(y.dim, y.offset);
  });
  for (; !rest.empty(); rest = std::move(later), now.clear(), later.clear()) {
    for (const Slice &slice : rest) {
      bool fits =
          now.empty() || (now.back().dim == slice.dim && now.back().offset + now.back().size <= slice.offset);
      (fits ? now : later).push_back(slice);
    }
    add(b, value, joined(b, value, now));
  }
  return gradients.lookup(value);
}

/// The concatenated slices, with zeros in the gaps.
Value Gradients::joined(OpBuilder &b, Value value, ArrayRef<Slice> disjoint) {
  int64_t dim = disjoint.front().dim, at = 0, end = tensor(value).getDimSize(static_cast<unsigned>(dim));
  SmallVector<Value> parts;
  auto zerosTo = [&](int64_t to) {
    if (to == at) return;
    parts.push_back(filledLike(b, b.create<SliceOp>(value.getLoc(), value, dim, at, to - at), 0));
  };
  for (const Slice &slice : disjoint) {
    zerosTo(slice.offset);
    parts.push_back(slice.gradient);
    at = slice.offset + slice.size;
  }
  zerosTo(end);
  return parts.size() == 1 ? parts[0] : b.create<ConcatOp>(value.getLoc(), parts, dim).getResult();
}

//===- elementwise -------------------------------------------------------------------------------------===//

namespace {

/// Builds elementwise ops at one location.
struct Build {
  OpBuilder &b;
  Location loc;
  Type element;
  Value number(double value) { return ir::number(b, loc, element, value); }
  Value add(Value x, Value y) { return b.create<AddOp>(loc, x, y); }
  Value sub(Value x, Value y) { return b.create<SubOp>(loc, x, y); }
  Value mul(Value x, Value y) { return b.create<MulOp>(loc, x, y); }
  Value mul(Value x, double y) { return mul(x, number(y)); }
  Value div(Value x, Value y) { return b.create<DivOp>(loc, x, y); }
  Value neg(Value x) { return b.create<NegOp>(loc, x); }
  Value exp(Value x) { return b.create<ExpOp>(loc, x); }
  /// 1 if x > 0, else 0. A positive x below the smallest normal number gives a value between.
  Value step(Value x) {
    double largest = element.isF16() ? 65504.0 : double(std::numeric_limits<float>::max()) / 256;
    return b.create<MinOp>(loc, b.create<ReluOp>(loc, mul(x, largest)), number(1));
  }
  /// The derivative of x s(x) with s(x) = 1 / (1 + e^(-k x)): s (1 + k x (1 - s)).
  Value sigmoidLinearSlope(Value x, double k) {
    Value s = div(number(1), add(exp(mul(x, -k)), number(1)));
    return mul(s, add(mul(mul(x, k), sub(number(1), s)), number(1)));
  }
};

/// Builds ops at the location and with the element type of `op`, which has one result.
Build buildAt(OpBuilder &b, Operation *op) { return {b, op->getLoc(), elementOf(op->getResult(0))}; }

} // namespace

LogicalResult AddOp::buildGradient(OpBuilder &b, Gradients &gradients) {
  Value dy = gradients.of(b, getResult());
  if (failed(gradients.addReduced(b, getLhs(), dy))) return failure();
  return gradients.addReduced(b, getRhs(), dy);
}

LogicalResult SubOp::buildGradient(OpBuilder &b, Gradients &gradients) {
  Value dy = gradients.of(b, getResult());
  Build e = buildAt(b, *this);
  if (failed(gradients.addReduced(b, getLhs(), dy))) return failure();
  return gradients.wanted(getRhs()) ? gradients.addReduced(b, getRhs(), e.neg(dy)) : success();
}

LogicalResult MulOp::buildGradient(OpBuilder &b, Gradients &gradients) {
  Value dy = gradients.of(b, getResult());
  Build e = buildAt(b, *this);
  if (gradients.wanted(getLhs()) && failed(gradients.addReduced(b, getLhs(), e.mul(dy, getRhs()))))
    return failure();
  return gradients.wanted(getRhs()) ? gradients.addReduced(b, getRhs(), e.mul(dy, getLhs())) : success();
}

// d(a / c) = da / c - (a / c) dc / c
LogicalResult DivOp::buildGradient(OpBuilder &b, Gradients &gradients) {
  Value dy = gradients.of(b, getResult());
  Build e = buildAt(b, *this);
  Value scaled = e.div(dy, getRhs());
  if (failed(gradients.addReduced(b, getLhs(), scaled))) return failure();
  if (!gradients.wanted(getRhs())) return success();
  return gradients.addReduced(b, getRhs(), e.neg(e.mul(scaled, getResult())));
}

// The larger operand gets the whole gradient. For a tie, the right one gets it.
LogicalResult MaxOp::buildGradient(OpBuilder &b, Gradients &gradients) {
  Value dy = gradients.of(b, getResult());
  Build e = buildAt(b, *this);
  Value left = e.mul(dy, e.step(e.sub(getLhs(), getRhs())));
  if (failed(gradients.addReduced(b, getLhs(), left))) return failure();
  return gradients.wanted(getRhs()) ? gradients.addReduced(b, getRhs(), e.sub(dy, left)) : success();
}

LogicalResult MinOp::buildGradient(OpBuilder &b, Gradients &gradients) {
  Value dy = gradients.of(b, getResult());
  Build e = buildAt(b, *this);
  Value left = e.mul(dy, e.step(e.sub(getRhs(), getLhs())));
  if (failed(gradients.addReduced(b, getLhs(), left))) return failure();
  return gradients.wanted(getRhs()) ? gradients.addReduced(b, getRhs(), e.sub(dy, left)) : success();
}

LogicalResult NegOp::buildGradient(OpBuilder &b, Gradients &gradients) {
  Value dy = gradients.of(b, getResult());
  Build e = buildAt(b, *this);
  gradients.add(b, getOperand(), e.neg(dy));
  return success();
}

LogicalResult ExpOp::buildGradient(OpBuilder &b, Gradients &gradients) {
  Value dy = gradients.of(b, getResult());
  Build e = buildAt(b, *this);
  gradients.add(b, getOperand(), e.mul(dy, getResult()));
  return success();
}

LogicalResult LogOp::buildGradient(OpBuilder &b, Gradients &gradients) {
  Value dy = gradients.of(b, getResult());
  Build e = buildAt(b, *this);
  gradients.add(b, getOperand(), e.div(dy, getOperand()));
  return success();
}

LogicalResult TanhOp::buildGradient(OpBuilder &b, Gradients &gradients) {
  Value dy = gradients.of(b, getResult());
  Build e = buildAt(b, *this);
  gradients.add(b, getOperand(), e.sub(dy, e.mul(dy, e.mul(getResult(), getResult()))));
  return success();
}

// 2 / sqrt(pi) e^(-x^2)
LogicalResult ErfOp::buildGradient(OpBuilder &b, Gradients &gradients) {
  Value dy = gradients.of(b, getResult());
  Build e = buildAt(b, *this);
  Value bell = e.exp(e.neg(e.mul(getOperand(), getOperand())));
  gradients.add(b, getOperand(), e.mul(dy, e.mul(bell, 2 / std::sqrt(M_PI))));
  return success();
}

LogicalResult SqrtOp::buildGradient(OpBuilder &b, Gradients &gradients) {
  Value dy = gradients.of(b, getResult());
  Build e = buildAt(b, *this);
  gradients.add(b, getOperand(), e.div(e.mul(dy, 0.5), getResult()));
  return success();
}

// -x^(-3/2) / 2 = -y / (2 x)
LogicalResult RsqrtOp::buildGradient(OpBuilder &b, Gradients &gradients) {
  Value dy = gradients.of(b, getResult());
  Build e = buildAt(b, *this);
  gradients.add(b, getOperand(), e.mul(e.div(e.mul(dy, getResult()), getOperand()), -0.5));
  return success();
}

LogicalResult ReluOp::buildGradient(OpBuilder &b, Gradients &gradients) {
  Value dy = gradients.of(b, getResult());
  Build e = buildAt(b, *this);
  gradients.add(b, getOperand(), e.mul(dy, e.step(getOperand())));
  return success();
}

LogicalResult SiluOp::buildGradient(OpBuilder &b, Gradients &gradients) {
  Value dy = gradients.of(b, getResult());
  Build e = buildAt(b, *this);
  gradients.add(b, getOperand(), e.mul(dy, e.sigmoidLinearSlope(getOperand(), kSiluSlope)));
  return success();
}

LogicalResult GeluOp::buildGradient(OpBuilder &b, Gradients &gradients) {
  Value dy = gradients.of(b, getResult());
  Build e = buildAt(b, *this);
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
  if (!llvm::isa<FloatType>(elementOf(getOperand()))) return success();
  gradients.add(b, getOperand(), b.create<CastOp>(getLoc(), getOperand().getType(), dy));
  return success();
}

//===- lookup, loss ------------------------------------------------------------------------------------===//

LogicalResult EmbedOp::buildGradient(OpBuilder &b, Gradients &gradients) {
  Value dy = gradients.of(b, getResult());
  if (!gradients.wanted(getTable())) return success();
  if (getScale()) return emitOpError("cannot be trained through: its table is of integers");
  gradients.set(getTable(),
                b.create<ScatterAddOp>(getLoc(), gradients.accumulator(b, getTable()), getIds(), dy));
  return success();
}

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

//===- linear algebra ----------------------------------------------------------------------------------===//

namespace {

Value transposed(OpBuilder &b, Value matrix) {
  SmallVector<int64_t> order = llvm::to_vector(llvm::seq<int64_t>(0, tensor(matrix).getRank()));
  std::swap(order[order.size() - 1], order[order.size() - 2]);
  return b.create<TransposeOp>(matrix.getLoc(), matrix, order);
}

} // namespace

// y = x w: dx = dy w^T, dw = x^T dy. If w is shared, dw is summed over all rows of x.
LogicalResult MatmulOp::buildGradient(OpBuilder &b, Gradients &gradients) {
  Value dy = gradients.of(b, getResult());
  if (getBias() || getResidual() || getActivation() != Activation::none)
    return emitOpError("cannot be trained through with an epilogue");
  if (getScale()) return emitOpError("cannot be trained through: its rhs is of integers");
  if (getWide()) return emitOpError("cannot be trained through: it is wide");
  Value x = getTransposeLhs() ? transposed(b, getLhs()) : getLhs(), w = getRhs();
  bool flipped = getTransposeRhs(), shared = tensor(w).getRank() == 2;
  if (gradients.wanted(getLhs())) {
    Value dx = b.create<MatmulOp>(getLoc(), dy, w, !flipped);
    gradients.add(b, getLhs(), getTransposeLhs() ? transposed(b, dx) : dx);
  }
  if (!gradients.wanted(w)) return success();
  if (shared) {
    Value sum = gradients.accumulator(b, w);
    gradients.set(w, b.create<ContractOp>(getLoc(), sum, flipped ? dy : x, flipped ? x : dy));
  } else {
    auto product = b.create<MatmulOp>(getLoc(), transposed(b, flipped ? dy : x), flipped ? x : dy);
    gradients.add(b, w, product);
  }
  return success();
}

LogicalResult AttentionOp::buildGradient(OpBuilder &b, Gradients &gradients) {
  if (getPast()) return emitOpError("cannot be trained through with a cache (past)");
  Value dy = gradients.of(b, getResult());
  auto grad = b.create<AttentionGradOp>(getLoc(), getQ(), getK(), getV(), dy, getLength(), getScaleAttr(),
                                        getCapAttr(), getCausalAttr(), getWindowAttr());
  gradients.add(b, getQ(), grad.getQGradient());
  gradients.add(b, getK(), grad.getKGradient());
  gradients.add(b, getV(), grad.getVGradient());
  return success();
}

LogicalResult RotaryOp::buildGradient(OpBuilder &b, Gradients &gradients) {
  Value dy = gradients.of(b, getResult());
  gradients.add(
      b, getOperand(),
      b.create<RotaryOp>(getLoc(), dy, getTable(), getPositions(), getInterleaved(), !getInverse()));
  return success();
}

//===- normalization and reductions --------------------------------------------------------------------===//

LogicalResult LayerNormOp::buildGradient(OpBuilder &b, Gradients &gradients) {
  Value dy = gradients.of(b, getResult());
  Build e = buildAt(b, *this);
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
  Build e = buildAt(b, *this);
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
  Build e = buildAt(b, *this);
  Value product = e.mul(getResult(), dy);
  Value sum = b.create<ReduceOp>(getLoc(), ReduceKind::sum, product, tensor(product).getRank() - 1);
  gradients.add(b, getOperand(), e.mul(getResult(), e.sub(dy, sum)));
  return success();
}

LogicalResult ReduceOp::buildGradient(OpBuilder &b, Gradients &gradients) {
  Value dy = gradients.of(b, getResult());
  Build e = buildAt(b, *this);
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

//===- shape -------------------------------------------------------------------------------------------===//

LogicalResult ReshapeOp::buildGradient(OpBuilder &b, Gradients &gradients) {
  Value dy = gradients.of(b, getResult());
  if (gradients.wanted(getOperand()))
    gradients.add(b, getOperand(), b.create<ReshapeOp>(getLoc(), plainType(tensor(getOperand())), dy));
  return success();
}
LogicalResult SliceOp::buildGradient(OpBuilder &b, Gradients &gradients) {
  gradients.addSlice(b, getOperand(), static_cast<int64_t>(getDim()), static_cast<int64_t>(getOffset()),
                     gradients.of(b, getResult()));
  return success();
}
LogicalResult TransposeOp::buildGradient(OpBuilder &b, Gradients &gradients) {
  if (!gradients.wanted(getOperand())) return success();
  SmallVector<int64_t> inverse(getPermutation().size());
  for (auto [to, from] : llvm::enumerate(getPermutation())) inverse[from] = static_cast<int64_t>(to);
  gradients.add(b, getOperand(), b.create<TransposeOp>(getLoc(), gradients.of(b, getResult()), inverse));
  return success();
}
LogicalResult ConcatOp::buildGradient(OpBuilder &b, Gradients &gradients) {
  Value dy = gradients.of(b, getResult());
  int64_t dim = static_cast<int64_t>(getDim()), at = 0;
  for (Value operand : getOperands()) {
    int64_t size = tensor(operand).getDimSize(static_cast<unsigned>(dim));
    if (gradients.wanted(operand)) gradients.add(b, operand, b.create<SliceOp>(getLoc(), dy, dim, at, size));
    at += size;
  }
  return success();
}

} // namespace linnet::ir
