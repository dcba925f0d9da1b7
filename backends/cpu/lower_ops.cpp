// One function an op: its specification, its operands in the order that the kernel wants, its number of work
// items.
#include "backends/cpu/lowering.h"

using namespace mlir;

namespace linnet::cpu {
using namespace ir;
namespace {
constexpr uint32_t kElementGrain = 1024;
}

Result<void> Lowering::lowerAttention(AttentionOp op) {
  const auto q = tensorOf(op.getQ());
  if (q.isDynamicDim(3)) return errorAt(op, "target cpu needs a static head size, found {}", describe(q));
  AttentionSpec spec;
  LINNET_ASSIGN(spec.type, commonType(op, ValueRange{op.getQ(), op.getResult()}));
  LINNET_ASSIGN(spec.cache, commonType(op, ValueRange{op.getK(), op.getV()}));
  spec.queries = dimOf(op.getQ(), 1), spec.heads = dimOf(op.getQ(), 2), spec.capacity = dimOf(op.getK(), 2);
  spec.head_size = q.getDimSize(3);
  spec.scale = op.getScale().convertToFloat();
  spec.causal = op.getCausal(), spec.past = bool(op.getPast()), spec.length = bool(op.getLength());
  spec.bf16_rows = int64_t(op.getBf16Rows());
  LINNET_ASSIGN(const Operand query, rows(op, op.getQ()));
  spec.q_stride = query.dense ? extentOf(op.getQ(), 2) : Extent(query.stride);
  if (!query.dense && Extent(query.row) != extentOf(op.getQ(), 2))
    return errorAt(op, "q's rows have gaps inside a position");
  LINNET_ASSIGN(const fb::RefT k, dense(op, op.getK()));
  LINNET_ASSIGN(const fb::RefT v, dense(op, op.getV()));
  LINNET_ASSIGN(const fb::RefT past,
                dense(op, spec.past ? mlir::Value(op.getPast()) : mlir::Value(op.getK())));
  LINNET_ASSIGN(const fb::RefT result, dense(op, op.getResult()));
  std::vector<fb::RefT> args = {query.ref, k, v, past, result};
  if (spec.length) {
    LINNET_ASSIGN(const fb::RefT length, dense(op, op.getLength()));
    args.push_back(length);
  }
  return emit(op, {attentionKernel(spec), args, extentOf(op.getQ(), 0, 3), 1});
}

Result<void> Lowering::lowerMask(MaskOp op) {
  MaskSpec spec;
  LINNET_ASSIGN(spec.type, typeOf(op, op.getOperand()));
  spec.heads = dimOf(op.getOperand(), 1), spec.queries = dimOf(op.getOperand(), 2);
  spec.capacity = dimOf(op.getOperand(), 3);
  spec.causal = op.getCausal(), spec.past = bool(op.getPast()), spec.length = bool(op.getLength());
  LINNET_ASSIGN(const fb::RefT x, dense(op, op.getOperand()));
  LINNET_ASSIGN(const fb::RefT past, dense(op, spec.past ? mlir::Value(op.getPast()) : op.getOperand()));
  LINNET_ASSIGN(const fb::RefT length,
                dense(op, spec.length ? mlir::Value(op.getLength()) : op.getOperand()));
  LINNET_ASSIGN(const fb::RefT result, dense(op, op.getResult()));
  return emit(op, {maskKernel(spec), {x, past, length, result}, extentOf(op.getOperand(), 0, 3), 1});
}

Result<void> Lowering::lowerCacheAppend(CacheAppendOp op) {
  if (!op->hasAttr("linnet.in_place"))
    return errorAt(op, "target cpu appends in place only; run linnet-alias first");
  CacheAppendSpec spec;
  LINNET_ASSIGN(spec.type, typeOf(op, op.getEntries()));
  LINNET_ASSIGN(spec.cache, typeOf(op, op.getCache()));
  spec.positions = dimOf(op.getEntries(), 1), spec.heads = dimOf(op.getCache(), 1);
  spec.capacity = dimOf(op.getCache(), 2), spec.head_size = dimOf(op.getCache(), 3);
  LINNET_ASSIGN(const Operand entries, rows(op, op.getEntries()));
  spec.stride = entries.dense ? extentOf(op.getEntries(), 2) : Extent(entries.stride);
  if (!entries.dense && Extent(entries.row) != extentOf(op.getEntries(), 2))
    return errorAt(op, "the new entries' rows have gaps inside a position");
  LINNET_ASSIGN(const fb::RefT past, dense(op, op.getPast()));
  LINNET_ASSIGN(const fb::RefT cache, dense(op, op.getResult()));
  return emit(op, {.kernel = cacheAppendKernel(spec),
                   .args = {entries.ref, past, cache},
                   .work = extentOf(op.getEntries(), 0, 3),
                   .grain = 16,
                   .itemwise = true,
                   .scatters = true});
}

Result<void> Lowering::lowerEmbed(EmbedOp op) {
  const auto table = tensorOf(op.getTable());
  if (table.isDynamicDim(0))
    return errorAt(op, "target cpu needs a table of static size, found {}", describe(table));
  EmbedSpec spec;
  LINNET_ASSIGN(spec.table, typeOf(op, op.getTable()));
  LINNET_ASSIGN(spec.out, typeOf(op, op.getResult()));
  spec.rows = table.getDimSize(0), spec.columns = dimOf(op.getTable(), 1);
  fb::RefT source;
  if (PanelAttr panel = panelOf(table)) {
    if (!panelFits(panel, spec.table))
      return errorAt(op, "target cpu cannot read rows of a table in these panels");
    spec.panel =
        EmbedSpec::Panel{panel.getKBlock(), panel.getNBlock(), panel.getInterleave(), panel.getTransposed()};
    LINNET_ASSIGN(source, packed(op, op.getTable()));
  } else {
    LINNET_ASSIGN(source, dense(op, op.getTable()));
  }
  LINNET_ASSIGN(const fb::RefT ids, dense(op, op.getIds()));
  LINNET_ASSIGN(const fb::RefT result, dense(op, op.getResult()));
  std::vector<fb::RefT> args = {source, ids, result};
  if (op.getScale()) {
    const RankedTensorType scale = tensorOf(op.getScale());
    const PanelAttr layout = panelOf(scale);
    spec.group = int64_t(op.getGroup()), spec.groups = scale.getDimSize(1);
    const bool fits = spec.panel
                          ? layout && layout.getKBlock() == 1 && layout.getNBlock() == spec.panel->n_block &&
                                layout.getTransposed() == spec.panel->transposed && spec.panel->transposed
                          : !layout;
    if (!fits) return errorAt(op, "target cpu needs the table's scale in panels as the table is");
    LINNET_ASSIGN(const Type scale_type, typeOf(op, op.getScale()));
    if (scale_type != Type::f32)
      return errorAt(op, "target cpu supports scales in f32, found {}", nameOf(scale_type));
    LINNET_ASSIGN(const fb::RefT ref, layout ? packed(op, op.getScale()) : dense(op, op.getScale()));
    args.push_back(ref);
  }
  return emit(op, {embedKernel(spec), args, extentOf(op.getIds()), 1});
}

Result<void> Lowering::lowerPositions(PositionsOp op) {
  const PositionsSpec spec{dimOf(op.getResult(), 1), int64_t(op.getLimit()), bool(op.getPast())};
  LINNET_ASSIGN(const fb::RefT past, dense(op, spec.past ? op.getPast() : op.getIds()));
  LINNET_ASSIGN(const fb::RefT result, dense(op, op.getResult()));
  return emit(op, {positionsKernel(spec), {past, result}, extentOf(op.getResult()), kElementGrain});
}

Result<void> Lowering::lowerLayerNorm(LayerNormOp op) {
  RowSpec spec;
  const int64_t last = tensorOf(op.getOperand()).getRank() - 1;
  LINNET_ASSIGN(spec.type, typeOf(op, op.getOperand()));
  LINNET_ASSIGN(spec.gain, commonType(op, ValueRange{op.getGain(), op.getBias()}));
  spec.columns = dimOf(op.getOperand(), last);
  spec.epsilon = op.getEpsilon().convertToFloat();
  LINNET_ASSIGN(const fb::RefT x, dense(op, op.getOperand()));
  LINNET_ASSIGN(const fb::RefT gain, dense(op, op.getGain()));
  LINNET_ASSIGN(const fb::RefT bias, dense(op, op.getBias()));
  LINNET_ASSIGN(const fb::RefT result, dense(op, op.getResult()));
  return emit(op, {.kernel = layerNormKernel(spec),
                   .args = {x, gain, bias, result},
                   .work = extentOf(op.getOperand(), 0, last),
                   .itemwise = true});
}

/// Ops of one operand whose unit is a row of the last dimension.
Result<void> Lowering::lowerRows(Operation *op, KernelSource (*make)(const RowSpec &)) {
  const mlir::Value operand = op->getOperand(0);
  const int64_t last = tensorOf(operand).getRank() - 1;
  if (last < 0) return errorAt(op, "target cpu needs an operand with a last dimension, found a scalar");
  RowSpec spec;
  LINNET_ASSIGN(spec.type, typeOf(op, operand));
  spec.columns = dimOf(operand, last);
  LINNET_ASSIGN(const fb::RefT x, dense(op, operand));
  LINNET_ASSIGN(const fb::RefT result, dense(op, op->getResult(0)));
  return emit(op, {make(spec), {x, result}, extentOf(operand, 0, last), 1});
}

Result<void> Lowering::lowerReduce(ReduceOp op) {
  const int64_t dim = int64_t(op.getDim());
  ReduceSpec spec;
  spec.kind = Reduction(uint32_t(op.getKind()));
  LINNET_ASSIGN(spec.type, typeOf(op, op.getOperand()));
  spec.size = dimOf(op.getOperand(), dim), spec.inner = extentOf(op.getOperand(), dim + 1);
  LINNET_ASSIGN(const fb::RefT x, dense(op, op.getOperand()));
  LINNET_ASSIGN(const fb::RefT result, dense(op, op.getResult()));
  return emit(
      op, {reduceKernel(spec), {x, result}, extentOf(op.getResult()), spec.inner == Extent(1) ? 1u : 64u});
}

Result<void> Lowering::lowerPool(PoolOp op) {
  PoolSpec spec;
  spec.mode = Pooling(uint32_t(op.getMode()));
  LINNET_ASSIGN(spec.type, typeOf(op, op.getOperand()));
  spec.positions = dimOf(op.getOperand(), 1), spec.columns = dimOf(op.getOperand(), 2);
  LINNET_ASSIGN(const fb::RefT x, dense(op, op.getOperand()));
  LINNET_ASSIGN(const fb::RefT length, dense(op, op.getLength()));
  LINNET_ASSIGN(const fb::RefT result, dense(op, op.getResult()));
  return emit(op, {poolKernel(spec), {x, length, result}, extentOf(op.getResult()), 256});
}

Result<void> Lowering::lowerTranspose(TransposeOp op) {
  TransposeSpec spec;
  LINNET_ASSIGN(spec.type, typeOf(op, op.getOperand()));
  spec.permutation.assign(op.getPermutation().begin(), op.getPermutation().end());
  for (int64_t i = 0; i < tensorOf(op.getResult()).getRank(); ++i)
    spec.shape.push_back(dimOf(op.getResult(), i));
  if (spec.shape.empty()) spec.shape = {1}, spec.permutation = {0}; // a scalar
  LINNET_ASSIGN(const fb::RefT x, dense(op, op.getOperand()));
  LINNET_ASSIGN(const fb::RefT result, dense(op, op.getResult()));
  return emit(op, {transposeKernel(spec), {x, result}, extentOf(op.getResult()), kElementGrain});
}

Result<void> Lowering::lowerSlice(SliceOp op) {
  const int64_t dim = int64_t(op.getDim());
  const Extent inner = extentOf(op.getOperand(), dim + 1);
  CopySpec spec;
  LINNET_ASSIGN(spec.type, typeOf(op, op.getOperand()));
  spec.run = inner * Extent(int64_t(op.getSize()));
  spec.in_stride = inner * dimOf(op.getOperand(), dim), spec.out_stride = spec.run;
  spec.in_offset = inner * Extent(int64_t(op.getOffset()));
  LINNET_ASSIGN(const fb::RefT x, dense(op, op.getOperand()));
  LINNET_ASSIGN(const fb::RefT result, dense(op, op.getResult()));
  return emit(op, {copyKernel(spec), {x, result}, extentOf(op.getResult()), kElementGrain});
}

/// A command for each operand.
Result<void> Lowering::lowerConcat(ConcatOp op) {
  const int64_t dim = int64_t(op.getDim());
  LINNET_ASSIGN(const fb::RefT result, dense(op, op.getResult()));
  const Extent inner = extentOf(op.getResult(), dim + 1);
  int64_t at = 0;
  for (mlir::Value operand : op.getOperands()) {
    CopySpec spec;
    LINNET_ASSIGN(spec.type, typeOf(op, operand));
    spec.run = inner * dimOf(operand, dim), spec.in_stride = spec.run;
    spec.out_stride = inner * dimOf(op.getResult(), dim), spec.out_offset = inner * Extent(at);
    LINNET_ASSIGN(const fb::RefT x, dense(op, operand));
    LINNET_TRY(emit(op, {copyKernel(spec), {x, result}, extentOf(operand), kElementGrain}));
    at += tensorOf(operand).getDimSize(dim);
  }
  return {};
}

} // namespace linnet::cpu
