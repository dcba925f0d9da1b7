#include "backends/common/specs/from_ir.h"

#include "ir/Locations.h"
#include "ir/Shapes.h"
#include "passes/Plan.h"

#include <algorithm>
#include <limits>

using namespace mlir;

namespace linnet::backend {
using namespace ir;
using enum KernelOperand::Access;

namespace {

SmallVector<mlir::Value> valuesOf(const std::vector<KernelOperand> &operands) {
  SmallVector<mlir::Value> values;
  for (const KernelOperand &operand : operands) values.push_back(operand.value);
  return values;
}

} // namespace

std::string locationOf(Operation *op) {
  const std::string name = ir::locationName(op->getLoc());
  return name.empty() ? "module" : name;
}

RankedTensorType tensorOf(mlir::Value value) { return llvm::cast<RankedTensorType>(value.getType()); }

Result<Type> typeOf(Operation *op, mlir::Value value) {
  const std::optional<Type> type = elementType(tensorOf(value).getElementType());
  if (!type) return errorAt(op, "no target has an element type like this operand's");
  return *type;
}

Result<Type> commonType(Operation *op, ValueRange values) {
  LINNET_ASSIGN(const Type first, typeOf(op, values.front()));
  for (mlir::Value value : values) {
    LINNET_ASSIGN(const Type type, typeOf(op, value));
    if (type != first)
      return errorAt(op, "expected operands of one element type here, found {} and {}", nameOf(first),
                     nameOf(type));
  }
  return first;
}

Extent OpSpecs::extentOf(RankedTensorType type, int64_t dim) const {
  return type.isDynamicDim(dim) ? Extent::symbol(symbols.at(dimName(type, dim).str()))
                                : Extent(type.getDimSize(dim));
}

Extent OpSpecs::extentOf(mlir::Value value, int64_t from, int64_t to) const {
  const RankedTensorType type = tensorOf(value);
  Extent extent = 1;
  for (int64_t i = from; i < (to < 0 ? type.getRank() : to); ++i) extent = extent * extentOf(type, i);
  return extent;
}

//===- checks ------------------------------------------------------------------------------------------===//

Result<void> OpSpecs::onlyF32(Operation *op, ValueRange values) const {
  LINNET_ASSIGN(const Type type, commonType(op, values));
  if (type != Type::f32) return errorAt(op, "target {} supports f32 here, found {}", target, nameOf(type));
  return {};
}

Result<void> OpSpecs::requireInPlace(Operation *op) const {
  if (op->hasAttr("linnet.in_place")) return {};
  return errorAt(op, "target {} updates in place only; run linnet-alias first", target);
}

Result<void> OpSpecs::scaleIsF32(Operation *op, mlir::Value scale) const {
  LINNET_ASSIGN(const Type type, typeOf(op, scale));
  if (type != Type::f32)
    return errorAt(op, "target {} supports scales in f32, found {}", target, nameOf(type));
  return {};
}

Result<int64_t> OpSpecs::headSize(Operation *op, mlir::Value q) const {
  const RankedTensorType type = tensorOf(q);
  if (type.isDynamicDim(3))
    return errorAt(op, "target {} needs a static head size, found {}", target, describe(type));
  return type.getDimSize(3);
}

Result<int64_t> OpSpecs::tableRows(Operation *op, mlir::Value table) const {
  const RankedTensorType type = tensorOf(table);
  if (type.isDynamicDim(0))
    return errorAt(op, "target {} needs a table of static size, found {}", target, describe(type));
  return type.getDimSize(0);
}

Result<Extent> OpSpecs::strideOf(Operation *op, mlir::Value value, const Extent &row) const {
  const Storage storage = storageOf(value);
  if (storage.dense()) return row;
  if (Extent(storage.row) != row)
    return errorAt(op, "target {} needs rows of {} elements, found rows of {} with gaps between them", target,
                   row.text(), storage.row);
  return Extent(storage.stride);
}

//===- rows --------------------------------------------------------------------------------------------===//

Result<Described<RowSpec>> OpSpecs::rowsOf(Operation *op) {
  const mlir::Value x = op->getOperand(0);
  const int64_t last = lastDim(x);
  if (last < 0)
    return errorAt(op, "target {} needs an operand with a last dimension, found a scalar", target);
  RowSpec spec{extentOf(x, 0, last), dimOf(x, last)};
  LINNET_ASSIGN(spec.type, typeOf(op, x));
  return Described<RowSpec>{spec, {{x}, {op->getResult(0), write}}};
}

Result<Described<SoftmaxSpec>> OpSpecs::specOf(SoftmaxOp op) {
  LINNET_ASSIGN(const auto x, rowsOf(op));
  return Described<SoftmaxSpec>{{x.spec}, x.operands};
}

Result<Described<ArgmaxSpec>> OpSpecs::specOf(ArgmaxOp op) {
  LINNET_ASSIGN(const auto x, rowsOf(op));
  return Described<ArgmaxSpec>{{x.spec}, x.operands};
}

Result<Described<NormSpec>> OpSpecs::specOf(LayerNormOp op) {
  LINNET_ASSIGN(const auto x, rowsOf(op));
  NormSpec spec{.x = x.spec, .epsilon = op.getEpsilon().convertToFloat()};
  LINNET_ASSIGN(spec.gain, commonType(op, ValueRange{op.getGain(), op.getBias()}));
  return Described<NormSpec>{spec,
                             {{op.getOperand()}, {op.getGain()}, {op.getBias()}, {op.getResult(), write}}};
}

Result<Described<NormSpec>> OpSpecs::specOf(RmsNormOp op) {
  LINNET_ASSIGN(const auto x, rowsOf(op));
  NormSpec spec{.x = x.spec, .epsilon = op.getEpsilon().convertToFloat(), .rms = true};
  LINNET_ASSIGN(spec.gain, typeOf(op, op.getGain()));
  return Described<NormSpec>{spec, {{op.getOperand()}, {op.getGain()}, {op.getResult(), write}}};
}

Result<Described<ReduceSpec>> OpSpecs::specOf(ReduceOp op) {
  const auto dim = int64_t(op.getDim());
  const mlir::Value x = op.getOperand();
  ReduceSpec spec{Reduction(uint32_t(op.getKind())), extentOf(x, 0, dim), dimOf(x, dim),
                  extentOf(x, dim + 1)};
  LINNET_ASSIGN(spec.type, typeOf(op, x));
  return Described<ReduceSpec>{spec, {{x}, {op.getResult(), write}}};
}

Result<Described<PoolSpec>> OpSpecs::specOf(PoolOp op) {
  const mlir::Value x = op.getOperand();
  PoolSpec spec{Pooling(uint32_t(op.getMode())), dimOf(x, 0), dimOf(x, 1), dimOf(x, 2)};
  LINNET_ASSIGN(spec.type, typeOf(op, x));
  return Described<PoolSpec>{spec, {{x}, {op.getLength()}, {op.getResult(), write}}};
}

//===- moves -------------------------------------------------------------------------------------------===//

Result<Described<EmbedSpec>> OpSpecs::specOf(EmbedOp op) {
  const mlir::Value table = op.getTable();
  EmbedSpec spec{.ids = extentOf(op.getIds()), .columns = dimOf(table, 1)};
  LINNET_ASSIGN(spec.rows, tableRows(op, table));
  LINNET_ASSIGN(spec.table, typeOf(op, table));
  LINNET_ASSIGN(spec.out, typeOf(op, op.getResult()));
  const PanelAttr panel = panelOf(tensorOf(table));
  if (panel) {
    if (!readsRowsOf(panel, spec.table))
      return errorAt(op, "target {} cannot read rows of a table in these panels", target);
    spec.panel = {panel.getKBlock(), panel.getNBlock(), panel.getInterleave(), panel.getTransposed()};
  }
  std::vector<KernelOperand> operands = {
      {op.getIds()}, {op.getResult(), write}, {table, panel ? read_panels : read}};
  if (op.getScale()) {
    const RankedTensorType scale = tensorOf(op.getScale());
    const PanelAttr layout = panelOf(scale);
    spec.scaled = true, spec.group = int64_t(op.getGroup()), spec.scales = scale.getDimSize(1);
    spec.asymmetric = op.getAsymmetric();
    const bool fits = panel ? layout && layout.getKBlock() == 1 && layout.getNBlock() == panel.getNBlock() &&
                                  layout.getTransposed() && panel.getTransposed()
                            : !layout;
    if (!fits)
      return errorAt(op, "target {} needs the table's scale in panels of one row, as wide as the table's",
                     target);
    LINNET_TRY(scaleIsF32(op, op.getScale()));
    operands.push_back({op.getScale(), layout ? read_panels : read});
  }
  return Described<EmbedSpec>{spec, std::move(operands)};
}

Result<Described<PositionsSpec>> OpSpecs::specOf(PositionsOp op) {
  const PositionsSpec spec{dimOf(op.getResult(), 0), dimOf(op.getResult(), 1), int64_t(op.getLimit()),
                           bool(op.getPast())};
  Described<PositionsSpec> made{spec, {{op.getResult(), write}}};
  if (spec.past) made.operands.push_back({op.getPast()});
  return made;
}

Result<Described<CacheAppendSpec>> OpSpecs::specOf(CacheAppendOp op) {
  LINNET_TRY(requireInPlace(op));
  const mlir::Value entries = op.getEntries(), cache = op.getCache();
  CacheAppendSpec spec{.batch = dimOf(entries, 0),
                       .positions = dimOf(entries, 1),
                       .heads = dimOf(cache, 1),
                       .capacity = dimOf(cache, 2),
                       .head_size = dimOf(cache, 3)};
  LINNET_ASSIGN(spec.stride, strideOf(op, entries, extentOf(entries, 2)));
  LINNET_ASSIGN(spec.type, typeOf(op, entries));
  LINNET_ASSIGN(spec.cache, typeOf(op, cache));
  return Described<CacheAppendSpec>{spec, {{entries, read_rows}, {op.getPast()}, {op.getResult(), write}}};
}

Result<Described<RotarySpec>> OpSpecs::specOf(RotaryOp op) {
  const mlir::Value x = op.getOperand();
  const RankedTensorType table = tensorOf(op.getTable());
  RotarySpec spec{.tokens = extentOf(x, 0, 2),
                  .heads = dimOf(x, 2),
                  .angles = table.getDimSize(1) / 2,
                  .rows = table.getDimSize(0),
                  .interleaved = op.getInterleaved(),
                  .inverse = op.getInverse()};
  LINNET_ASSIGN(spec.head_size, headSize(op, x));
  LINNET_ASSIGN(spec.stride, strideOf(op, x, extentOf(x, 2)));
  LINNET_ASSIGN(spec.type, typeOf(op, x));
  LINNET_TRY(onlyF32(op, ValueRange{op.getTable()}));
  return Described<RotarySpec>{
      spec, {{x, read_rows}, {op.getTable()}, {op.getPositions()}, {op.getResult(), write}}};
}

Result<Described<CopySpec>> OpSpecs::specOf(SliceOp op) {
  const auto dim = int64_t(op.getDim());
  const mlir::Value x = op.getOperand();
  const Extent inner = extentOf(x, dim + 1), run = inner * Extent(int64_t(op.getSize()));
  CopySpec spec{.outer = extentOf(x, 0, dim),
                .run = run,
                .in_stride = inner * dimOf(x, dim),
                .out_stride = run,
                .in_offset = inner * Extent(int64_t(op.getOffset()))};
  LINNET_ASSIGN(spec.type, typeOf(op, x));
  return Described<CopySpec>{spec, {{x}, {op.getResult(), write}}};
}

Result<std::vector<Described<CopySpec>>> OpSpecs::specsOf(ConcatOp op) {
  const auto dim = int64_t(op.getDim());
  const Extent inner = extentOf(op.getResult(), dim + 1);
  std::vector<Described<CopySpec>> copies;
  int64_t at = 0;
  for (mlir::Value x : op.getOperands()) {
    const Extent run = inner * dimOf(x, dim);
    CopySpec spec{.outer = extentOf(x, 0, dim),
                  .run = run,
                  .in_stride = run,
                  .out_stride = inner * dimOf(op.getResult(), dim),
                  .out_offset = inner * Extent(at)};
    LINNET_ASSIGN(spec.type, typeOf(op, x));
    copies.push_back({spec, {{x}, {op.getResult(), write}}});
    at += tensorOf(x).getDimSize(dim);
  }
  return copies;
}

Result<Described<TransposeSpec>> OpSpecs::specOf(TransposeOp op) {
  TransposeSpec spec;
  LINNET_ASSIGN(spec.type, typeOf(op, op.getOperand()));
  spec.permutation.assign(op.getPermutation().begin(), op.getPermutation().end());
  for (int64_t i = 0; i <= lastDim(op.getResult()); ++i) spec.shape.push_back(dimOf(op.getResult(), i));
  if (spec.shape.empty()) spec.shape = {1}, spec.permutation = {0}; // a scalar has one element
  return Described<TransposeSpec>{spec, {{op.getOperand()}, {op.getResult(), write}}};
}

//===- attention ---------------------------------------------------------------------------------------===//

namespace {

/// The window as kernels compute with it, in 32 bits. Positions are 32-bit numbers, so larger windows see the same
/// keys.
template <class Op> int64_t windowOf(Op op) {
  return std::min<int64_t>(int64_t(op.getWindow()), std::numeric_limits<int32_t>::max());
}

/// The fields that attention and its gradient share with their specifications.
template <class Op, class Spec> void setVariants(Op op, Spec &spec) {
  const int64_t heads = tensorOf(op.getQ()).getDimSize(2), key_heads = tensorOf(op.getK()).getDimSize(1);
  // Equal heads may be dynamic, or 0.
  spec.key_group = heads == key_heads ? 1 : heads / key_heads;
  spec.window = windowOf(op);
  spec.cap = op.getCap().convertToFloat();
}

} // namespace

Result<Described<AttentionSpec>> OpSpecs::specOf(AttentionOp op) {
  const mlir::Value q = op.getQ();
  AttentionSpec spec{.batch = dimOf(q, 0),
                     .queries = dimOf(q, 1),
                     .heads = dimOf(q, 2),
                     .capacity = dimOf(op.getK(), 2),
                     .scale = op.getScale().convertToFloat(),
                     .causal = op.getCausal(),
                     .past = bool(op.getPast()),
                     .length = bool(op.getLength()),
                     .bf16_rows = int64_t(op.getBf16Rows())};
  setVariants(op, spec);
  LINNET_ASSIGN(spec.head_size, headSize(op, q));
  LINNET_ASSIGN(spec.q_stride, strideOf(op, q, extentOf(q, 2)));
  LINNET_ASSIGN(spec.type, commonType(op, ValueRange{q, op.getResult()}));
  LINNET_ASSIGN(spec.cache, commonType(op, ValueRange{op.getK(), op.getV()}));
  Described<AttentionSpec> made{spec, {{q, read_rows}, {op.getK()}, {op.getV()}, {op.getResult(), write}}};
  if (spec.past) made.operands.push_back({op.getPast()});
  if (spec.length) made.operands.push_back({op.getLength()});
  return made;
}

Result<Described<MaskSpec>> OpSpecs::specOf(MaskOp op) {
  const mlir::Value x = op.getOperand();
  MaskSpec spec{.batch = dimOf(x, 0),
                .queries = dimOf(x, 2),
                .heads = dimOf(x, 1),
                .capacity = dimOf(x, 3),
                .causal = op.getCausal(),
                .past = bool(op.getPast()),
                .length = bool(op.getLength()),
                .window = windowOf(op)};
  LINNET_ASSIGN(spec.type, typeOf(op, x));
  Described<MaskSpec> made{spec, {{x}, {op.getResult(), write}}};
  if (spec.past) made.operands.push_back({op.getPast()});
  if (spec.length) made.operands.push_back({op.getLength()});
  return made;
}

//===- matmul ------------------------------------------------------------------------------------------===//

Result<Described<MatmulSpec>> OpSpecs::specOf(MatmulOp op) {
  if (op.getInt8Rows())
    return errorAt(op, "target {} rounds rows to 8 bits only if the weight is in panels", target);
  const mlir::Value lhs = op.getLhs(), rhs = op.getRhs();
  const int64_t lhs_rank = tensorOf(lhs).getRank(), rhs_rank = tensorOf(rhs).getRank();
  MatmulSpec spec;
  spec.transpose_a = op.getTransposeLhs() && lhs_rank > 1, spec.transpose_w = op.getTransposeRhs();
  spec.shared_w = rhs_rank == 2;
  spec.bias = bool(op.getBias()), spec.residual = bool(op.getResidual()), spec.scaled = bool(op.getScale());
  spec.activation = Activation(uint32_t(op.getActivation()));
  const bool leading_rows = spec.shared_w && !spec.transpose_a; // the leading dimensions of lhs are rows, too
  spec.groups = leading_rows ? Extent(1) : extentOf(lhs, 0, lhs_rank - 2);
  spec.m = leading_rows ? extentOf(lhs, 0, lhs_rank - 1) : dimOf(lhs, lhs_rank - (spec.transpose_a ? 1 : 2));
  spec.k = dimOf(rhs, rhs_rank - (spec.transpose_w ? 1 : 2));
  spec.n = dimOf(rhs, rhs_rank - (spec.transpose_w ? 2 : 1));
  LINNET_ASSIGN(spec.a, typeOf(op, lhs));
  LINNET_ASSIGN(spec.w, typeOf(op, rhs));
  Described<MatmulSpec> made{spec, {{lhs}, {rhs}, {op.getResult(), write}}};
  SmallVector<mlir::Value> sums = {op.getResult()};
  for (mlir::Value value : {op.getBias(), op.getResidual()})
    if (value) made.operands.push_back({value}), sums.push_back(value);
  LINNET_ASSIGN(made.spec.type, commonType(op, sums));
  if (spec.scaled) {
    LINNET_TRY(scaleIsF32(op, op.getScale()));
    made.spec.group = int64_t(op.getGroup());
    made.spec.asymmetric = op.getAsymmetric();
    made.spec.scale_rows = tensorOf(op.getScale()).getDimSize(spec.transpose_w ? 1 : 0);
    made.operands.push_back({op.getScale()});
  }
  return made;
}

Result<Described<MatmulSpec>> OpSpecs::specOf(ContractOp op) {
  LINNET_TRY(requireInPlace(op));
  const mlir::Value lhs = op.getLhs(), sum = op.getResult();
  LINNET_TRY(onlyF32(op, sum));
  MatmulSpec spec{.groups = 1, .m = dimOf(sum, 0), .k = extentOf(lhs, 0, lastDim(lhs)), .n = dimOf(sum, 1)};
  spec.transpose_a = true, spec.residual = true;
  LINNET_ASSIGN(spec.a, commonType(op, ValueRange{lhs, op.getRhs()}));
  spec.w = spec.a;
  return Described<MatmulSpec>{spec, {{lhs}, {op.getRhs()}, {sum, write}, {sum}}};
}

//===- training ----------------------------------------------------------------------------------------===//

Result<Described<CrossEntropySpec>> OpSpecs::specOf(CrossEntropyOp op) {
  LINNET_TRY(onlyF32(op, ValueRange{op.getLogits(), op.getResult()}));
  LINNET_ASSIGN(const auto logits, rowsOf(op));
  return Described<CrossEntropySpec>{{logits.spec},
                                     {{op.getLogits()}, {op.getLabels()}, {op.getResult(), write}}};
}

Result<Described<CrossEntropyGradSpec>> OpSpecs::specOf(CrossEntropyGradOp op) {
  LINNET_TRY(onlyF32(op, ValueRange{op.getLogits(), op.getGradient(), op.getResult()}));
  LINNET_ASSIGN(const auto logits, rowsOf(op));
  return Described<CrossEntropyGradSpec>{
      {logits.spec}, {{op.getLogits()}, {op.getLabels()}, {op.getGradient()}, {op.getResult(), write}}};
}

Result<Described<LayerNormGradSpec>> OpSpecs::specOf(LayerNormGradOp op) {
  LINNET_TRY(onlyF32(op, ValueRange{op.getOperand(), op.getGain(), op.getGradient(), op.getResult()}));
  LINNET_ASSIGN(const auto x, rowsOf(op));
  return Described<LayerNormGradSpec>{
      {x.spec, op.getEpsilon().convertToFloat()},
      {{op.getOperand()}, {op.getGain()}, {op.getGradient()}, {op.getResult(), write}}};
}

Result<Described<PoolGradSpec>> OpSpecs::specOf(PoolGradOp op) {
  LINNET_TRY(onlyF32(op, ValueRange{op.getGradient(), op.getResult()}));
  const mlir::Value x = op.getResult();
  const PoolSpec pool{Pooling(uint32_t(op.getMode())), dimOf(x, 0), dimOf(x, 1), dimOf(x, 2)};
  return Described<PoolGradSpec>{{pool}, {{op.getGradient()}, {op.getLength()}, {x, write}}};
}

Result<Described<DropoutSpec>> OpSpecs::specOf(DropoutOp op) {
  LINNET_TRY(onlyF32(op, ValueRange{op.getOperand(), op.getResult()}));
  const DropoutSpec spec{op.getRate().convertToFloat(), static_cast<uint32_t>(op.getStream()),
                         extentOf(op.getResult())};
  return Described<DropoutSpec>{spec, {{op.getOperand()}, {op.getKey()}, {op.getResult(), write}}};
}

Result<Described<SumRowsSpec>> OpSpecs::specOf(SumRowsOp op) {
  LINNET_TRY(onlyF32(op, ValueRange{op.getAccumulator(), op.getOperand(), op.getResult()}));
  const SumRowsSpec spec{extentOf(op.getOperand(), 0, lastDim(op.getOperand())), dimOf(op.getResult(), 0)};
  return Described<SumRowsSpec>{spec, {{op.getAccumulator()}, {op.getOperand()}, {op.getResult(), write}}};
}

Result<Described<ScatterAddSpec>> OpSpecs::specOf(ScatterAddOp op) {
  LINNET_TRY(requireInPlace(op));
  LINNET_TRY(onlyF32(op, ValueRange{op.getRows(), op.getResult()}));
  ScatterAddSpec spec{.count = extentOf(op.getIds()), .columns = dimOf(op.getTable(), 1)};
  LINNET_ASSIGN(spec.table_rows, tableRows(op, op.getTable()));
  return Described<ScatterAddSpec>{spec, {{op.getIds()}, {op.getRows()}, {op.getResult(), write}}};
}

Result<Described<AttentionGradSpec>> OpSpecs::specOf(AttentionGradOp op) {
  const mlir::Value q = op.getQ();
  AttentionGradSpec spec{.batch = dimOf(q, 0),
                         .queries = dimOf(q, 1),
                         .heads = dimOf(q, 2),
                         .capacity = dimOf(op.getK(), 2),
                         .scale = op.getScale().convertToFloat(),
                         .causal = op.getCausal(),
                         .length = bool(op.getLength())};
  setVariants(op, spec);
  LINNET_ASSIGN(spec.head_size, headSize(op, q));
  Described<AttentionGradSpec> made{spec, {{q}, {op.getK()}, {op.getV()}, {op.getGradient()}}};
  for (mlir::Value result : op.getResults()) made.operands.push_back({result, write});
  LINNET_TRY(onlyF32(op, valuesOf(made.operands)));
  if (spec.length) made.operands.push_back({op.getLength()});
  return made;
}

Result<Described<AdamWSpec>> OpSpecs::specOf(AdamWOp op) {
  auto number = [](const llvm::APFloat &x) { return x.convertToFloat(); };
  Described<AdamWSpec> made{{number(op.getBeta1()), number(op.getBeta2()), number(op.getEpsilon()),
                             number(op.getDecay()), number(op.getLrScale()), number(op.getPull()),
                             extentOf(op.getParam())},
                            {{op.getParam()},
                             {op.getGradient()},
                             {op.getM()},
                             {op.getV()},
                             {op.getLr()},
                             {op.getScale()},
                             {op.getMScale()},
                             {op.getVScale()}}};
  if (made.spec.has(AdamWSpec::Operand::start)) made.operands.push_back({op.getStart()});
  for (mlir::Value result : op.getResults()) made.operands.push_back({result, write});
  LINNET_TRY(onlyF32(op, valuesOf(made.operands)));
  return made;
}

} // namespace linnet::backend
