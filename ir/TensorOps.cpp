// Verifiers, result types and gradients of weights, lookup, matmul and attention. ReductionOps.cpp and ShapeOps.cpp
// have the other ops on tensors.
#include "ir/Gradients.h"
#include "ir/Linnet.h"
#include "ir/Shapes.h"
#include "ir/Verify.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/PatternMatch.h"

#include <limits>

using namespace mlir;

namespace linnet::ir {
namespace {

/// The number of groups of `group` elements in `size`; one if `group` is 0.
int64_t groupsOf(int64_t size, int64_t group) { return group ? (size + group - 1) / group : 1; }

/// How a matrix of integers is scaled. Groups are along dimension `dim`.
struct ScaleForm {
  int64_t group, dim;
  bool asymmetric;
};

/// A matrix of integers has a scale, a matrix of floats has none.
LogicalResult verifyScale(Operation *op, Value matrix, Value scale, const ScaleForm &form) {
  auto type = tensor(matrix);
  const auto [group, dim, asymmetric] = form;
  if (llvm::isa<FloatType>(type.getElementType())) {
    if (!scale && !group && !asymmetric) return success();
    return op->emitOpError("scale, group and asymmetric are for a matrix of integers, found ") << type;
  }
  if (!scale) return op->emitOpError("a matrix of ") << type.getElementType() << " needs a scale";
  if (type.getRank() != 2 || !type.hasStaticShape())
    return op->emitOpError("only a static matrix has a scale, found ") << describe(type);
  if (group < 0) return op->emitOpError("group is ") << group << ", expected at least 0";
  if (asymmetric && (!group || !type.getElementType().isInteger(4)))
    return op->emitOpError("asymmetric needs a matrix of i4 in groups, found ")
           << type.getElementType() << " and group " << group;
  SmallVector<Dim> shape = shapeOf(type);
  shape[dim].size = groupsOf(shape[dim].size, group) * (asymmetric ? 2 : 1);
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
  build(builder, state, table, ids, /*scale=*/Value(), /*group=*/int64_t(0), /*asymmetric=*/false);
}
LogicalResult EmbedOp::verify() {
  if (failed(expectRank(*this, "table", getTable(), 2))) return failure();
  return verifyScale(*this, getTable(), getScale(), {int64_t(getGroup()), /*dim=*/1, getAsymmetric()});
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

// Parses `%past, %ids`, or only `%ids`. The types have the same form.
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
        /*int8_rows=*/int64_t(0), /*asymmetric=*/false, /*int8_group=*/int64_t(0));
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
  // The parser infers types before it copies the attribute dictionary into the properties.
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
  const auto int8_group = static_cast<int64_t>(getInt8Group());
  if (int8_group < 0 || int8_group > std::numeric_limits<int32_t>::max())
    return emitOpError("int8_group is ") << int8_group << ", expected a number from 0 to 2^31 - 1";
  if (int8_group && !int8_rows) return emitOpError("int8_group needs int8_rows");
  return verifyScale(*this, getRhs(), getScale(),
                     {int64_t(getGroup()), getTransposeRhs() ? 1 : 0, getAsymmetric()});
}

//===- quantization ------------------------------------------------------------------------------------===//

namespace {

/// Type of the scales of `operand`, or an error.
LogicalResult inferScale(std::optional<Location> loc, StringRef op, Type operand, int64_t bits,
                         const ScaleForm &form, SmallVectorImpl<Dim> &shape) {
  const auto [group, dim, asymmetric] = form;
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
  if (asymmetric && (bits != 4 || !group))
    return emitOptionalError(loc, "'linnet.", op, "' op asymmetric needs 4 bits and a group, found bits ",
                             bits, " and group ", group);
  shape = shapeOf(type);
  shape[dim].size = groupsOf(shape[dim].size, group) * (asymmetric ? 2 : 1);
  return success();
}

/// The parser infers types before it copies attributes into the properties, so `name` is read from both.
template <class Adaptor> int64_t integer(Adaptor &a, StringRef name, IntegerAttr property) {
  if (property) return property.getInt();
  auto attribute = a.getAttributes() ? a.getAttributes().template getAs<IntegerAttr>(name) : IntegerAttr();
  return attribute ? attribute.getInt() : -1;
}
template <class Adaptor> ScaleForm formOf(Adaptor &a) {
  return {integer(a, "group", a.getGroupAttr()), integer(a, "dim", a.getDimAttr()),
          a.getAsymmetric() || (a.getAttributes() && a.getAttributes().contains("asymmetric"))};
}

} // namespace

LogicalResult QuantizeScaleOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc, Adaptor a,
                                                SmallVectorImpl<Type> &inferred) {
  SmallVector<Dim> shape;
  if (failed(inferScale(loc, "quantize_scale", a.getOperand().getType(), integer(a, "bits", a.getBitsAttr()),
                        formOf(a), shape)))
    return failure();
  inferred.push_back(makeType(shape, getElementTypeOrSelf(a.getOperand().getType())));
  return success();
}
LogicalResult QuantizeScaleOp::verify() { return success(); }

LogicalResult QuantizeOp::inferReturnTypes(MLIRContext *context, std::optional<Location> loc, Adaptor a,
                                           SmallVectorImpl<Type> &inferred) {
  SmallVector<Dim> shape;
  int64_t bits = integer(a, "bits", a.getBitsAttr());
  if (failed(inferScale(loc, "quantize", a.getOperand().getType(), bits, formOf(a), shape))) return failure();
  auto type = llvm::cast<RankedTensorType>(a.getOperand().getType());
  inferred.push_back(makeType(shapeOf(type), IntegerType::get(context, static_cast<unsigned>(bits))));
  return success();
}
LogicalResult QuantizeOp::verify() {
  SmallVector<Dim> shape;
  const ScaleForm form{int64_t(getGroup()), int64_t(getDim()), getAsymmetric()};
  if (failed(inferScale(getLoc(), "quantize", getOperand().getType(), getBits(), form, shape)))
    return failure();
  return expectShape(*this, "scale", getScale(), shape);
}

//===- attention ---------------------------------------------------------------------------------------===//

LogicalResult verifyWindow(Operation *op, int64_t window, bool causal) {
  if (window < 0) return op->emitOpError("window is ") << window << ", expected at least 0";
  if (window && !causal) return op->emitOpError("window is ") << window << " without causal, expected 0";
  return success();
}

LogicalResult AttentionOp::inferReturnTypes(MLIRContext *, std::optional<Location>, Adaptor a,
                                            SmallVectorImpl<Type> &inferred) {
  inferred.push_back(a.getQ().getType());
  return success();
}
LogicalResult AttentionOp::verify() {
  const auto bf16_rows = static_cast<int64_t>(getBf16Rows());
  if (bf16_rows < 0) return emitOpError("bf16_rows is ") << bf16_rows << ", expected at least 0";
  if (failed(verifyHeads(*this))) return failure();
  return getPast() ? expectShape(*this, "past", getPast(), {shapeOf(tensor(getQ()))[0]}) : success();
}

LogicalResult MaskOp::verify() {
  if (failed(expectRank(*this, "operand", getOperand(), 4))) return failure();
  Dim batch = shapeOf(tensor(getOperand()))[0];
  if (getPast() && failed(expectShape(*this, "past", getPast(), {batch}))) return failure();
  if (getLength() && failed(expectShape(*this, "length", getLength(), {batch}))) return failure();
  return verifyWindow(*this, static_cast<int64_t>(getWindow()), getCausal());
}

LogicalResult RotaryTableOp::verify() {
  const auto type = tensor(getResult());
  const auto angles = static_cast<int64_t>(getFrequencies().size());
  if (!angles) return emitOpError("expects at least one frequency");
  if (type.getRank() != 2 || !type.hasStaticShape() || type.getDimSize(1) != 2 * angles ||
      !type.getElementType().isF32())
    return emitOpError("result is ") << describe(type) << ", expected f32 and static positions x "
                                     << 2 * angles;
  return success();
}

LogicalResult RotaryOp::verify() {
  if (failed(expectRank(*this, "operand", getOperand(), 4)) ||
      failed(expectRank(*this, "table", getTable(), 2)))
    return failure();
  SmallVector<Dim> x = shapeOf(tensor(getOperand()));
  const auto table = tensor(getTable());
  if (!table.hasStaticShape() || !table.getElementType().isF32() || table.getDimSize(1) % 2)
    return emitOpError("table is ") << describe(table)
                                    << ", expected f32 and a static, even number of columns";
  if (tensor(getOperand()).isDynamicDim(3) || table.getDimSize(1) > x[3].size)
    return emitOpError("table is ") << describe(table) << ", expected at most as many columns as a head of "
                                    << describe(tensor(getOperand())) << " has elements";
  return expectShape(*this, "positions", getPositions(), {x[0], x[1]});
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

//===- gradients ---------------------------------------------------------------------------------------===//

LogicalResult EmbedOp::buildGradient(OpBuilder &b, Gradients &gradients) {
  Value dy = gradients.of(b, getResult());
  if (!gradients.wanted(getTable())) return success();
  if (getScale()) return emitOpError("cannot be trained through: its table is of integers");
  gradients.set(getTable(),
                b.create<ScatterAddOp>(getLoc(), gradients.accumulator(b, getTable()), getIds(), dy));
  return success();
}

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

} // namespace linnet::ir

#define GET_OP_CLASSES
#include "ir/LinnetOps.cpp.inc"
