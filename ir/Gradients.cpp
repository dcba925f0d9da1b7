// How gradients are accumulated, and the ops that the rules are built of.
#include "ir/Gradients.h"

#include "ir/Shapes.h"
#include "ir/Verify.h"

#include "llvm/ADT/STLExtras.h"

#include <limits>

using namespace mlir;

namespace linnet::ir {

namespace {

/// A tensor of like's shape whose elements are `fill`, or the broadcast `value` if there is no `fill`.
Value spread(OpBuilder &b, Value like, Value value, std::optional<double> fill) {
  SmallVector<Value> inputs = {like};
  if (value) inputs.push_back(value);
  return b
      .create<FusedOp>(like.getLoc(), TypeRange{plainType(tensor(like))}, inputs,
                       [&](OpBuilder &inner, Location loc, ValueRange scalars) -> SmallVector<Value> {
                         if (!fill) return {scalars[1]};
                         auto element = FloatAttr::get(tensor(like).getElementType(), *fill);
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

//===- arithmetic of rules -----------------------------------------------------------------------------===//

Value Arithmetic::number(double value) {
  auto type = RankedTensorType::get({1}, element);
  APFloat rounded(value);
  bool lost;
  rounded.convert(llvm::cast<FloatType>(element).getFloatSemantics(), APFloat::rmNearestTiesToEven, &lost);
  return builder.create<ConstantOp>(loc, type, DenseElementsAttr::get(type, rounded));
}

Value Arithmetic::step(Value x) {
  double largest = element.isF16() ? 65504.0 : double(std::numeric_limits<float>::max()) / 256;
  return builder.create<MinOp>(loc, builder.create<ReluOp>(loc, mul(x, largest)), number(1));
}

// s (1 + k x (1 - s))
Value Arithmetic::sigmoidLinearSlope(Value x, double k) {
  Value s = div(number(1), add(exp(mul(x, -k)), number(1)));
  return mul(s, add(mul(mul(x, k), sub(number(1), s)), number(1)));
}

} // namespace linnet::ir
