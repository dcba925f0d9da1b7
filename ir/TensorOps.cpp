// Verifiers and result types of the ops on whole tensors.
#include "ir/Linnet.h"
#include "ir/Shapes.h"
#include "ir/Verify.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;

namespace linnet::ir {
namespace {

/// The number of groups that `size` elements make; `group` 0: one.
int64_t groupsOf(int64_t size, int64_t group) { return group ? (size + group - 1) / group : 1; }

/// A matrix of integers has a scale, one of floats has none; `dim` is the dimension that groups lie along.
LogicalResult verifyScale(Operation *op, Value matrix, Value scale, int64_t group, int64_t dim) {
  auto type = tensor(matrix);
  if (llvm::isa<FloatType>(type.getElementType())) {
    if (!scale && !group) return success();
    return op->emitOpError("scale and group are for a matrix of integers, found ") << type;
  }
  if (!scale) return op->emitOpError("a matrix of ") << type.getElementType() << " needs a scale";
  if (type.getRank() != 2 || !type.hasStaticShape())
    return op->emitOpError("only a static matrix has a scale, found ") << describe(type);
  if (group < 0) return op->emitOpError("group is ") << group << ", expected at least 0";
  SmallVector<Dim> shape = shapeOf(type);
  shape[dim].size = groupsOf(shape[dim].size, group);
  return expectShape(op, "scale", scale, shape);
}

} // namespace

//===- weights and constants ---------------------------------------------------------------------------===//

LogicalResult ParamOp::verify() {
  if (getName().empty()) return emitOpError("the name is empty");
  auto type = tensor(getResult());
  if (!type.hasStaticShape()) return emitOpError("a weight has a static shape, found ") << describe(type);
  if (panelOf(type) && type.getRank() != 2)
    return emitOpError("only a matrix can have a panel layout, found ") << describe(type);
  return success();
}

OpFoldResult ConstantOp::fold(FoldAdaptor) { return getValue(); }

//===- lookup ------------------------------------------------------------------------------------------===//

LogicalResult EmbedOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc, Adaptor a,
                                        SmallVectorImpl<Type> &inferred) {
  auto table = llvm::cast<RankedTensorType>(a.getTable().getType());
  if (table.getRank() != 2)
    return emitOptionalError(loc, "'linnet.embed' op table is ", describe(table), ", expected 2 dimensions");
  SmallVector<Dim> shape = shapeOf(llvm::cast<RankedTensorType>(a.getIds().getType()));
  shape.push_back(shapeOf(table)[1]);
  Type element = a.getScale() ? getElementTypeOrSelf(a.getScale().getType()) : table.getElementType();
  inferred.push_back(makeType(shape, element));
  return success();
}
void EmbedOp::build(OpBuilder &builder, OperationState &state, Value table, Value ids) {
  build(builder, state, table, ids, /*scale=*/Value(), /*group=*/int64_t(0));
}
LogicalResult EmbedOp::verify() {
  if (failed(expectRank(*this, "table", getTable(), 2))) return failure();
  return verifyScale(*this, getTable(), getScale(), getGroup(), /*dim=*/1);
}

LogicalResult PositionsOp::inferReturnTypes(MLIRContext *, std::optional<Location>, Adaptor a,
                                            SmallVectorImpl<Type> &inferred) {
  inferred.push_back(a.getIds().getType());
  return success();
}
LogicalResult PositionsOp::verify() {
  if (failed(expectRank(*this, "ids", getIds(), 2))) return failure();
  if (getLimit() < 1) return emitOpError("limit is ") << getLimit() << ", expected at least 1";
  return getPast() ? expectShape(*this, "past", getPast(), {shapeOf(tensor(getIds()))[0]}) : success();
}

namespace {

// `%past, %ids`, or `%ids` alone; the same of their types.
ParseResult parsePastAndIds(OpAsmParser &parser, std::optional<OpAsmParser::UnresolvedOperand> &past,
                            OpAsmParser::UnresolvedOperand &ids) {
  if (parser.parseOperand(ids)) return failure();
  if (failed(parser.parseOptionalComma())) return success();
  past = ids;
  return parser.parseOperand(ids);
}
void printPastAndIds(OpAsmPrinter &printer, Operation *, Value past, Value ids) {
  if (past) printer << past << ", ";
  printer << ids;
}
ParseResult parsePastAndIdsTypes(OpAsmParser &parser, Type &past, Type &ids) {
  if (parser.parseType(ids)) return failure();
  if (failed(parser.parseOptionalComma())) return success();
  past = ids;
  return parser.parseType(ids);
}
void printPastAndIdsTypes(OpAsmPrinter &printer, Operation *, Type past, Type ids) {
  if (past) printer << past << ", ";
  printer << ids;
}

} // namespace

//===- linear algebra ----------------------------------------------------------------------------------===//

void MatmulOp::build(OpBuilder &builder, OperationState &state, Value lhs, Value rhs, bool transpose_rhs) {
  build(builder, state, lhs, rhs, /*bias=*/Value(), /*residual=*/Value(), /*scale=*/Value(),
        /*transpose_lhs=*/false, transpose_rhs, Activation::none, /*group=*/int64_t(0), /*wide=*/false,
        /*int8_rows=*/int64_t(0));
}

LogicalResult MatmulOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc, Adaptor a,
                                         SmallVectorImpl<Type> &inferred) {
  auto lhs = llvm::cast<RankedTensorType>(a.getLhs().getType()),
       rhs = llvm::cast<RankedTensorType>(a.getRhs().getType());
  SmallVector<Dim> l = shapeOf(lhs), r = shapeOf(rhs);
  auto fail = [&](auto &&...why) {
    return emitOptionalError(loc, "'linnet.matmul' op lhs ", describe(l), " and rhs ", describe(r), ": ",
                             why...);
  };
  if (l.empty() || r.size() < 2) return fail("expected at least 1 and 2 dimensions");
  // While an op is parsed, what its attribute dictionary says is not yet in the properties.
  auto flag = [&](bool property, StringRef name) {
    return property || (a.getAttributes() && a.getAttributes().contains(name));
  };
  bool transpose_lhs = flag(a.getTransposeLhs(), "transpose_lhs");
  bool transpose_rhs = flag(a.getTransposeRhs(), "transpose_rhs");
  if (l.size() == 1 && transpose_lhs) return fail("a vector has no transpose");
  if (transpose_lhs) std::swap(l[l.size() - 1], l[l.size() - 2]);
  if (transpose_rhs) std::swap(r[r.size() - 1], r[r.size() - 2]);
  if (!(l.back() == r[r.size() - 2]))
    return fail("K differs: ", describe(ArrayRef(l.back())), " and ", describe(ArrayRef(r[r.size() - 2])));
  if (r.size() > 2 && (l.size() != r.size() || ArrayRef(l).drop_back(2) != ArrayRef(r).drop_back(2)))
    return fail("leading dimensions differ");
  l.back() = r.back();
  bool wide = flag(a.getWide(), "wide");
  inferred.push_back(makeType(l, wide ? Type(Float32Type::get(lhs.getContext())) : lhs.getElementType()));
  return success();
}

LogicalResult MatmulOp::verify() {
  auto result = tensor(getResult());
  if (getBias() && failed(expectShape(*this, "bias", getBias(), {shapeOf(result).back()}))) return failure();
  if (getResidual() && failed(expectShape(*this, "residual", getResidual(), shapeOf(result))))
    return failure();
  if (panelOf(tensor(getRhs())) && panelOf(tensor(getRhs())).getTransposed() != getTransposeRhs())
    return emitOpError("rhs's panel layout and transpose_rhs disagree");
  const auto int8_rows = static_cast<int64_t>(getInt8Rows());
  if (int8_rows < 0) return emitOpError("int8_rows is ") << int8_rows << ", expected at least 0";
  if (int8_rows && (!getScale() || getTransposeLhs()))
    return emitOpError("int8_rows needs an rhs of integers with a scale, and no transpose_lhs");
  return verifyScale(*this, getRhs(), getScale(), getGroup(), getTransposeRhs() ? 1 : 0);
}

//===- quantization ------------------------------------------------------------------------------------===//

namespace {

/// Type of the scales of `operand`, or an error.
LogicalResult inferScale(std::optional<Location> loc, StringRef op, Type operand, int64_t bits, int64_t dim,
                         int64_t group, SmallVectorImpl<Dim> &shape) {
  auto type = llvm::cast<RankedTensorType>(operand);
  if (type.getRank() != 2 || !type.hasStaticShape())
    return emitOptionalError(loc, "'linnet.", op, "' op operand is ", describe(type),
                             ", expected a static matrix");
  if (bits != 4 && bits != 8)
    return emitOptionalError(loc, "'linnet.", op, "' op bits is ", bits, ", expected 4 or 8");
  if (dim != 0 && dim != 1)
    return emitOptionalError(loc, "'linnet.", op, "' op dim is ", dim, ", expected 0 or 1");
  if (group < 0)
    return emitOptionalError(loc, "'linnet.", op, "' op group is ", group, ", expected at least 0");
  shape = shapeOf(type);
  shape[dim].size = groupsOf(shape[dim].size, group);
  return success();
}

/// While an op is parsed, its attributes are not yet in the properties.
template <class Adaptor> int64_t integer(Adaptor &a, StringRef name, IntegerAttr property) {
  if (property) return property.getInt();
  auto attribute = a.getAttributes() ? a.getAttributes().template getAs<IntegerAttr>(name) : IntegerAttr();
  return attribute ? attribute.getInt() : -1;
}

} // namespace

LogicalResult QuantizeScaleOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc, Adaptor a,
                                                SmallVectorImpl<Type> &inferred) {
  SmallVector<Dim> shape;
  if (failed(inferScale(loc, "quantize_scale", a.getOperand().getType(), integer(a, "bits", a.getBitsAttr()),
                        integer(a, "dim", a.getDimAttr()), integer(a, "group", a.getGroupAttr()), shape)))
    return failure();
  inferred.push_back(makeType(shape, getElementTypeOrSelf(a.getOperand().getType())));
  return success();
}
LogicalResult QuantizeScaleOp::verify() { return success(); }

LogicalResult QuantizeOp::inferReturnTypes(MLIRContext *context, std::optional<Location> loc, Adaptor a,
                                           SmallVectorImpl<Type> &inferred) {
  SmallVector<Dim> shape;
  int64_t bits = integer(a, "bits", a.getBitsAttr());
  if (failed(inferScale(loc, "quantize", a.getOperand().getType(), bits, integer(a, "dim", a.getDimAttr()),
                        integer(a, "group", a.getGroupAttr()), shape)))
    return failure();
  auto type = llvm::cast<RankedTensorType>(a.getOperand().getType());
  inferred.push_back(makeType(shapeOf(type), IntegerType::get(context, static_cast<unsigned>(bits))));
  return success();
}
LogicalResult QuantizeOp::verify() {
  SmallVector<Dim> shape;
  if (failed(
          inferScale(getLoc(), "quantize", getOperand().getType(), getBits(), getDim(), getGroup(), shape)))
    return failure();
  return expectShape(*this, "scale", getScale(), shape);
}

//===- attention ---------------------------------------------------------------------------------------===//

LogicalResult AttentionOp::inferReturnTypes(MLIRContext *, std::optional<Location>, Adaptor a,
                                            SmallVectorImpl<Type> &inferred) {
  inferred.push_back(a.getQ().getType());
  return success();
}
LogicalResult AttentionOp::verify() {
  const auto bf16_rows = static_cast<int64_t>(getBf16Rows());
  if (bf16_rows < 0) return emitOpError("bf16_rows is ") << bf16_rows << ", expected at least 0";
  if (failed(expectRank(*this, "q", getQ(), 4)) || failed(expectRank(*this, "k", getK(), 4)))
    return failure();
  SmallVector<Dim> q = shapeOf(tensor(getQ())), k = shapeOf(tensor(getK()));
  if (failed(expectShape(*this, "k", getK(), {q[0], q[2], k[2], q[3]}))) return failure();
  if (failed(expectShape(*this, "v", getV(), k))) return failure();
  if (getPast() && failed(expectShape(*this, "past", getPast(), {q[0]}))) return failure();
  return getLength() ? expectShape(*this, "length", getLength(), {q[0]}) : success();
}

LogicalResult MaskOp::verify() {
  if (failed(expectRank(*this, "operand", getOperand(), 4))) return failure();
  Dim batch = shapeOf(tensor(getOperand()))[0];
  if (getPast() && failed(expectShape(*this, "past", getPast(), {batch}))) return failure();
  return getLength() ? expectShape(*this, "length", getLength(), {batch}) : success();
}

LogicalResult CacheAppendOp::verify() {
  if (failed(expectRank(*this, "cache", getCache(), 4)) ||
      failed(expectRank(*this, "entries", getEntries(), 4)))
    return failure();
  SmallVector<Dim> cache = shapeOf(tensor(getCache())), entries = shapeOf(tensor(getEntries()));
  if (failed(expectShape(*this, "entries", getEntries(), {cache[0], entries[1], cache[1], cache[3]})))
    return failure();
  return expectShape(*this, "past", getPast(), {cache[0]});
}

//===- normalization and reductions --------------------------------------------------------------------===//

LogicalResult LayerNormOp::verify() {
  auto type = tensor(getOperand());
  if (type.getRank() < 1) return emitOpError("operand is a scalar");
  Dim last = shapeOf(type).back();
  if (failed(expectShape(*this, "gain", getGain(), {last}))) return failure();
  return expectShape(*this, "bias", getBias(), {last});
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

//===- shape -------------------------------------------------------------------------------------------===//

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

} // namespace linnet::ir

#define GET_OP_CLASSES
#include "ir/LinnetOps.cpp.inc"
