// Verifiers, result types and gradients of the ops that only move elements.
#include "ir/Gradients.h"
#include "ir/Linnet.h"
#include "ir/Shapes.h"
#include "ir/Verify.h"

#include "mlir/IR/Builders.h"

using namespace mlir;

namespace linnet::ir {

LogicalResult ReshapeOp::verify() {
  auto from = tensor(getOperand()), to = tensor(getResult());
  if (from.getElementType() != to.getElementType()) return emitOpError("element types differ");
  auto statics = [](RankedTensorType type) -> std::optional<int64_t> {
    int64_t product = 1;
    for (int64_t size : type.getShape())
      if (!ShapedType::isDynamic(size) && __builtin_mul_overflow(product, size, &product))
        return std::nullopt;
    return product;
  };
  auto leading = [](RankedTensorType type) {
    ArrayRef<int64_t> rest = type.getShape().drop_front(dimsOf(type).size());
    return llvm::none_of(rest, ShapedType::isDynamic);
  };
  if (dimsOf(from) != dimsOf(to) || !leading(from) || !leading(to))
    return emitOpError("operand ") << describe(from) << " and result " << describe(to)
                                   << ": dynamic dimensions lead and stay the same";
  if (!statics(from) || statics(from) != statics(to))
    return emitOpError("operand ") << describe(from) << " and result " << describe(to)
                                   << ": element counts differ";
  return success();
}

LogicalResult SliceOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc, Adaptor a,
                                        SmallVectorImpl<Type> &inferred) {
  auto type = llvm::cast<RankedTensorType>(a.getOperand().getType());
  int64_t dim = a.getDim(), offset = a.getOffset(), size = a.getSize();
  if (dim < 0 || dim >= type.getRank() || type.isDynamicDim(dim))
    return emitOptionalError(loc, "'linnet.slice' op dim is ", dim, ", operand ", describe(type),
                             " has no such static dimension");
  if (offset < 0 || size < 1 || size > type.getDimSize(dim) || offset > type.getDimSize(dim) - size)
    return emitOptionalError(loc, "'linnet.slice' op offset ", offset, " and size ", size,
                             " leave dimension ", dim, " of ", describe(type));
  SmallVector<Dim> shape = shapeOf(type);
  shape[dim].size = size;
  inferred.push_back(makeType(shape, type.getElementType()));
  return success();
}
LogicalResult SliceOp::verify() { return success(); }

LogicalResult TransposeOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc, Adaptor a,
                                            SmallVectorImpl<Type> &inferred) {
  auto type = llvm::cast<RankedTensorType>(a.getOperand().getType());
  ArrayRef<int64_t> permutation = a.getPermutation();
  SmallVector<int64_t> sorted(permutation);
  llvm::sort(sorted);
  bool valid = static_cast<int64_t>(sorted.size()) == type.getRank();
  for (size_t i = 0; valid && i < sorted.size(); ++i) valid = sorted[i] == static_cast<int64_t>(i);
  if (!valid)
    return emitOptionalError(loc, "'linnet.transpose' op permutation is expected to order the ",
                             type.getRank(), " dimensions of ", describe(type));
  SmallVector<Dim> from = shapeOf(type), shape;
  for (int64_t dim : permutation) shape.push_back(from[dim]);
  inferred.push_back(makeType(shape, type.getElementType()));
  return success();
}
LogicalResult TransposeOp::verify() { return success(); }

LogicalResult ConcatOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc, Adaptor a,
                                         SmallVectorImpl<Type> &inferred) {
  if (a.getOperands().empty())
    return emitOptionalError(loc, "'linnet.concat' op expects at least one operand");
  auto first = llvm::cast<RankedTensorType>(a.getOperands()[0].getType());
  int64_t dim = a.getDim();
  if (dim < 0 || dim >= first.getRank())
    return emitOptionalError(loc, "'linnet.concat' op dim is ", dim, ", operand 0 ", describe(first),
                             " has no such dimension");
  SmallVector<Dim> shape = shapeOf(first);
  shape[dim].size = 0;
  for (auto [i, operand] : llvm::enumerate(a.getOperands())) {
    auto type = llvm::cast<RankedTensorType>(operand.getType());
    SmallVector<Dim> other = shapeOf(type), expected = shapeOf(first);
    bool fits = type.getRank() == first.getRank() && !type.isDynamicDim(dim) &&
                type.getElementType() == first.getElementType();
    if (fits) expected[dim] = other[dim];
    if (!fits || other != expected)
      return emitOptionalError(loc, "'linnet.concat' op operand ", i, " ", describe(type),
                               " does not continue ", describe(first), " along dimension ", dim);
    if (__builtin_add_overflow(shape[dim].size, other[dim].size, &shape[dim].size))
      return emitOptionalError(loc, "'linnet.concat' op dimension ", dim, " overflows");
  }
  inferred.push_back(makeType(shape, first.getElementType()));
  return success();
}
LogicalResult ConcatOp::verify() { return success(); }

LogicalResult RelayoutOp::verify() {
  auto from = tensor(getOperand()), to = tensor(getResult());
  if (from.getShape() != to.getShape() || from.getElementType() != to.getElementType() ||
      dimsOf(from) != dimsOf(to))
    return emitOpError("operand ") << describe(from) << " and result " << describe(to)
                                   << ": only the layout may differ";
  return success();
}

//===- gradients ---------------------------------------------------------------------------------------===//

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
