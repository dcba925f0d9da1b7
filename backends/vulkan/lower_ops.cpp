// One function an op: its specification, its operands in the order that the kernel wants, its number of
// items.
#include "backends/vulkan/lowering.h"

#include <algorithm>
#include <numeric>

using namespace mlir;

namespace linnet::vulkan {
using namespace ir;

Result<void> Lowering::checkHead(Operation *op, RankedTensorType q) {
  if (q.isDynamicDim(3)) return errorAt(op, "target vulkan needs a static head size, found {}", describe(q));
  if (q.getDimSize(3) > 1024)
    return errorAt(op, "target vulkan takes heads of at most 1024, found {}", q.getDimSize(3));
  return {};
}

Result<void> Lowering::lowerAttention(AttentionOp op) {
  Call call{op};
  LINNET_ASSIGN(const AttentionSpec spec, attentionOf(op, call));
  std::vector<uint32_t> args(call.args.size());
  std::iota(args.begin(), args.end(), 0);
  std::vector<Choice> choices = attentionChoices(call, spec, args);
  addInParts(call, op, spec, args, choices);
  return emit(call, std::move(choices));
}

Result<AttentionSpec> Lowering::attentionOf(AttentionOp op, Call &call) {
  if (op.getBf16Rows()) return errorAt(op, "target vulkan does not round attention's factors (bf16_rows)");
  const auto q = tensorOf(op.getQ());
  LINNET_TRY(checkHead(op, q));
  AttentionSpec spec;
  LINNET_ASSIGN(spec.type, commonType(op, ValueRange{op.getQ(), op.getResult()}));
  LINNET_ASSIGN(spec.cache, commonType(op, ValueRange{op.getK(), op.getV()}));
  spec.batch = dimOf(op.getQ(), 0), spec.queries = dimOf(op.getQ(), 1), spec.heads = dimOf(op.getQ(), 2);
  spec.capacity = dimOf(op.getK(), 2);
  spec.head_size = q.getDimSize(3);
  spec.scale = op.getScale().convertToFloat();
  spec.causal = op.getCausal(), spec.past = bool(op.getPast()), spec.length = bool(op.getLength());
  LINNET_ASSIGN(spec.q_stride, readRows(call, op.getQ(), extentOf(op.getQ(), 2)));
  LINNET_TRY(read(call, op.getK()));
  LINNET_TRY(read(call, op.getV()));
  LINNET_TRY(write(call, op.getResult()));
  if (spec.past) LINNET_TRY(read(call, op.getPast()));
  if (spec.length) LINNET_TRY(read(call, op.getLength()));
  return spec;
}

/// `args`: the kernel's operands among the call's.
std::vector<Choice> Lowering::attentionChoices(const Call &call, AttentionSpec spec,
                                               const std::vector<uint32_t> &args) {
  const std::vector<Axis> queries = {{spec.batch * spec.queries * spec.heads, 1}};
  std::vector<Choice> choices;
  const Operands plain = where(call, args);
  const auto fours = [](const Extent &extent) { return extent.isStatic() && extent.factor % 4 == 0; };
  const uint32_t read_in_fours = spec.append ? 0x67 : 0x7; // q, k, v, new k, new v
  if (fours(spec.head_size) && fours(spec.q_stride) && spec.head_size <= 128 && spec.type == Type::f32 &&
      !(plain.inside & read_in_fours)) {
    const uint8_t words = texelWords(spec.cache);
    spec.where = {.inside = plain.inside, .texels = {4, words, words}};
    if (spec.append) spec.where.texels.insert(spec.where.texels.end(), {0, 0, 4, 4});
    choices.push_back(
        {.kernel = subgroupAttentionKernel(spec), .groups = queries, .where = spec.where, .args = args});
    spec.where = plain;
    if (!spec.append)
      choices.push_back({.kernel = tiledAttentionKernel(spec),
                         .groups = {{spec.queries, kAttentionTile}, {spec.batch * spec.heads, 1}},
                         .amount = spec.queries,
                         .least = kAttentionTile / 2,
                         .where = plain,
                         .args = args});
  }
  auto add = [&](const Operands &where) {
    spec.where = where;
    choices.push_back({.kernel = attentionKernel(spec), .groups = queries, .where = where, .args = args});
  };
  if (spec.append) add(where(call, args, true)); // more operands than some devices bind
  add(plain);
  return choices;
}

/// Behind the choice for CPUs, if any: the keys of each query among several workgroups, where heads and
/// queries are too few for a GPU. More queries are tiled.
void Lowering::addInParts(Call &call, AttentionOp op, AttentionSpec spec, std::vector<uint32_t> args,
                          std::vector<Choice> &choices) {
  const auto cache = tensorOf(op.getK());
  const int64_t heads = cache.getDimSize(1), queries = spec.append ? 1 : kAttentionTile / 2 - 1;
  const auto room = cache.isDynamicDim(2) ? boundOf(entry, dimName(cache, 2)) : cache.getDimSize(2);
  if (!spec.past || !room || cache.isDynamicDim(1)) return;
  const auto parts = std::min((kFillingGroups + heads - 1) / heads, (*room - 1) / kLeastKeysOfPart + 1);
  if (parts < 2) return;
  const auto batch = int64_t(call.args[args[4]].ref.size / 4); // at the bounds, of past
  const int64_t items = batch * heads * queries;
  spec.parts = uint32_t(parts);
  args.push_back(addWorking(call, items * parts * spec.wordsOfPart()));
  args.push_back(addCounters(call, items));
  spec.where = where(call, args, true);
  auto behind = std::ranges::find_if(
      choices, [](const Choice &choice) { return !std::ranges::count(choice.kernel.features, "cpu"); });
  choices.insert(behind, {.kernel = attentionKernel(spec),
                          .groups = {{spec.batch * spec.heads * spec.queries, 1}, {parts, 1}},
                          .amount = spec.queries,
                          .most = queries,
                          .where = spec.where,
                          .args = args});
}

Result<void> Lowering::lowerMask(MaskOp op) {
  MaskSpec spec;
  LINNET_ASSIGN(spec.type, typeOf(op, op.getOperand()));
  spec.batch = dimOf(op.getOperand(), 0), spec.heads = dimOf(op.getOperand(), 1);
  spec.queries = dimOf(op.getOperand(), 2), spec.capacity = dimOf(op.getOperand(), 3);
  spec.causal = op.getCausal(), spec.past = bool(op.getPast()), spec.length = bool(op.getLength());
  Call call{op};
  LINNET_TRY(read(call, op.getOperand()));
  LINNET_TRY(write(call, op.getResult()));
  if (spec.past) LINNET_TRY(read(call, op.getPast()));
  if (spec.length) LINNET_TRY(read(call, op.getLength()));
  spec.where = where(call);
  return emit(call, maskKernel(spec), extentOf(op.getOperand()));
}

Result<void> Lowering::lowerCacheAppend(CacheAppendOp op) {
  if (!op->hasAttr("linnet.in_place"))
    return errorAt(op, "target vulkan appends in place only; run linnet-alias first");
  CacheAppendSpec spec;
  LINNET_ASSIGN(spec.type, typeOf(op, op.getEntries()));
  LINNET_ASSIGN(spec.cache, typeOf(op, op.getCache()));
  spec.batch = dimOf(op.getEntries(), 0), spec.positions = dimOf(op.getEntries(), 1);
  spec.heads = dimOf(op.getCache(), 1), spec.capacity = dimOf(op.getCache(), 2);
  spec.head_size = dimOf(op.getCache(), 3);
  Call call{op};
  LINNET_ASSIGN(spec.stride, readRows(call, op.getEntries(), extentOf(op.getEntries(), 2)));
  LINNET_TRY(read(call, op.getPast()));
  LINNET_TRY(write(call, op.getResult()));
  spec.where = where(call);
  return emit(call, cacheAppendKernel(spec), extentOf(op.getEntries()));
}

Result<void> Lowering::lowerEmbed(EmbedOp op) {
  Call call{op};
  LINNET_ASSIGN(auto lookup, embedOf(op, call));
  auto &[spec, parts] = lookup;
  spec.where = where(call);
  return emit(call, {Choice{embedKernel(spec), {{spec.ids * spec.columns, kItems}}, {parts}}});
}

/// The specification, how the table is cut, and the operands {ids, out, table, scale?}.
Result<std::pair<EmbedSpec, Parts>> Lowering::embedOf(EmbedOp op, Call &call) {
  const auto table = tensorOf(op.getTable());
  if (!table.hasStaticShape())
    return errorAt(op, "target vulkan needs a table of static size, found {}", describe(table));
  EmbedSpec spec;
  LINNET_ASSIGN(spec.table, typeOf(op, op.getTable()));
  LINNET_ASSIGN(spec.out, typeOf(op, op.getResult()));
  spec.rows = table.getDimSize(0), spec.columns = dimOf(op.getTable(), 1), spec.ids = extentOf(op.getIds());
  spec.scaled = bool(op.getScale());
  call.in_parts = 2;
  LINNET_TRY(read(call, op.getIds()));
  LINNET_TRY(write(call, op.getResult()));
  const uint64_t bits = spec.table == Type::i4 ? 4 : 8 * uint64_t(sizeOf(spec.table));
  Parts parts{{*call.in_parts}, spec.rows, uint64_t(spec.columns.factor) * bits / 8};
  if (PanelAttr panel = panelOf(table)) {
    if (!panel.getTransposed() || panel.getInterleave() != (spec.table == Type::i4 ? 2 : 1))
      return errorAt(op, "target vulkan cannot read rows of a table in these panels");
    spec.panel =
        PanelSpec{table.getDimSize(1), table.getDimSize(0), panel.getKBlock(), panel.getNBlock(), spec.table};
    LINNET_TRY(readPacked(call, op.getTable()));
    parts = {{*call.in_parts}, spec.panel->count(), uint64_t(spec.panel->panelElements()) * bits / 8};
  } else {
    LINNET_TRY(read(call, op.getTable()));
  }
  if (spec.scaled) {
    const RankedTensorType scale = tensorOf(op.getScale());
    const PanelAttr layout = panelOf(scale);
    spec.group = int64_t(op.getGroup()), spec.groups = scale.getDimSize(1);
    const bool fits = spec.panel ? layout && layout.getKBlock() == 1 &&
                                       layout.getNBlock() == spec.panel->n_block && layout.getTransposed()
                                 : !layout;
    if (!fits) return errorAt(op, "target vulkan needs the table's scale in panels as the table is");
    LINNET_TRY(layout ? readPacked(call, op.getScale()) : read(call, op.getScale()));
    if (call.args.back().type != Type::f32)
      return errorAt(op, "target vulkan supports scales in f32, found {}", nameOf(call.args.back().type));
  }
  return std::pair(spec, parts);
}

Result<void> Lowering::lowerPositions(PositionsOp op) {
  PositionsSpec spec{dimOf(op.getResult(), 0), dimOf(op.getResult(), 1), int64_t(op.getLimit()),
                     bool(op.getPast())};
  Call call{op};
  LINNET_TRY(write(call, op.getResult()));
  if (spec.past) LINNET_TRY(read(call, op.getPast()));
  spec.where = where(call);
  return emit(call, positionsKernel(spec), extentOf(op.getResult()));
}

Result<void> Lowering::lowerLayerNorm(LayerNormOp op) {
  RowSpec spec;
  const int64_t last = tensorOf(op.getOperand()).getRank() - 1;
  LINNET_ASSIGN(spec.type, typeOf(op, op.getOperand()));
  LINNET_ASSIGN(spec.gain, commonType(op, ValueRange{op.getGain(), op.getBias()}));
  spec.rows = extentOf(op.getOperand(), 0, last), spec.columns = dimOf(op.getOperand(), last);
  spec.epsilon = op.getEpsilon().convertToFloat();
  Call call{op};
  LINNET_TRY(read(call, op.getOperand()));
  LINNET_TRY(read(call, op.getGain()));
  LINNET_TRY(read(call, op.getBias()));
  LINNET_TRY(write(call, op.getResult()));
  spec.where = where(call);
  return emit(call, layerNormKernel(spec), spec.rows, 1);
}

/// Ops of one operand whose unit is a row of the last dimension.
Result<void> Lowering::lowerRows(Operation *op, Kernel (*make)(const RowSpec &)) {
  const mlir::Value operand = op->getOperand(0);
  const int64_t last = tensorOf(operand).getRank() - 1;
  if (last < 0) return errorAt(op, "target vulkan needs an operand with a last dimension, found a scalar");
  RowSpec spec;
  LINNET_ASSIGN(spec.type, typeOf(op, operand));
  spec.rows = extentOf(operand, 0, last), spec.columns = dimOf(operand, last);
  Call call{op};
  LINNET_TRY(read(call, operand));
  LINNET_TRY(write(call, op->getResult(0)));
  spec.where = where(call);
  return emit(call, make(spec), spec.rows, 1);
}

Result<void> Lowering::lowerSample(SampleOp op) {
  const RankedTensorType logits = tensorOf(op.getLogits());
  if (logits.isDynamicDim(1) || logits.getDimSize(1) > kMostSampled)
    return errorAt(op, "target vulkan samples from a static number of logits up to {}, found {}",
                   kMostSampled, describe(logits));
  SampleSpec spec{dimOf(op.getLogits(), 0), dimOf(op.getLogits(), 1)};
  LINNET_ASSIGN(spec.type, typeOf(op, op.getLogits()));
  Call call{op};
  for (mlir::Value operand : op->getOperands()) LINNET_TRY(read(call, operand));
  LINNET_TRY(write(call, op.getResult()));
  spec.where = where(call);
  return emit(call, sampleKernel(spec), spec.rows, 1);
}

Result<void> Lowering::lowerReduce(ReduceOp op) {
  const int64_t dim = int64_t(op.getDim());
  ReduceSpec spec;
  spec.kind = Reduction(uint32_t(op.getKind()));
  LINNET_ASSIGN(spec.type, typeOf(op, op.getOperand()));
  spec.outer = extentOf(op.getOperand(), 0, dim), spec.size = dimOf(op.getOperand(), dim);
  spec.inner = extentOf(op.getOperand(), dim + 1);
  Call call{op};
  LINNET_TRY(read(call, op.getOperand()));
  LINNET_TRY(write(call, op.getResult()));
  spec.where = where(call);
  return emit(call, reduceKernel(spec), extentOf(op.getResult()));
}

Result<void> Lowering::lowerPool(PoolOp op) {
  PoolSpec spec;
  spec.mode = Pooling(uint32_t(op.getMode()));
  LINNET_ASSIGN(spec.type, typeOf(op, op.getOperand()));
  spec.batch = dimOf(op.getOperand(), 0), spec.positions = dimOf(op.getOperand(), 1);
  spec.columns = dimOf(op.getOperand(), 2);
  Call call{op};
  LINNET_TRY(read(call, op.getOperand()));
  LINNET_TRY(read(call, op.getLength()));
  LINNET_TRY(write(call, op.getResult()));
  spec.where = where(call);
  return emit(call, poolKernel(spec), extentOf(op.getResult()));
}

Result<void> Lowering::lowerTranspose(TransposeOp op) {
  TransposeSpec spec;
  LINNET_ASSIGN(spec.type, typeOf(op, op.getOperand()));
  spec.permutation.assign(op.getPermutation().begin(), op.getPermutation().end());
  for (int64_t i = 0; i < tensorOf(op.getResult()).getRank(); ++i)
    spec.shape.push_back(dimOf(op.getResult(), i));
  if (spec.shape.empty()) spec.shape = {1}, spec.permutation = {0}; // a scalar
  Call call{op};
  LINNET_TRY(read(call, op.getOperand()));
  LINNET_TRY(write(call, op.getResult()));
  spec.where = where(call);
  return emit(call, transposeKernel(spec), extentOf(op.getResult()));
}

Result<void> Lowering::lowerSlice(SliceOp op) {
  const int64_t dim = int64_t(op.getDim());
  const Extent inner = extentOf(op.getOperand(), dim + 1);
  CopySpec spec;
  LINNET_ASSIGN(spec.type, typeOf(op, op.getOperand()));
  spec.outer = extentOf(op.getOperand(), 0, dim), spec.run = inner * Extent(int64_t(op.getSize()));
  spec.in_stride = inner * dimOf(op.getOperand(), dim), spec.out_stride = spec.run;
  spec.in_offset = inner * Extent(int64_t(op.getOffset()));
  Call call{op};
  LINNET_TRY(read(call, op.getOperand()));
  LINNET_TRY(write(call, op.getResult()));
  spec.where = where(call);
  return emit(call, copyKernel(spec), extentOf(op.getResult()));
}

/// A command for each operand.
Result<void> Lowering::lowerConcat(ConcatOp op) {
  const int64_t dim = int64_t(op.getDim());
  const Extent inner = extentOf(op.getResult(), dim + 1);
  int64_t at = 0;
  for (mlir::Value operand : op.getOperands()) {
    CopySpec spec;
    LINNET_ASSIGN(spec.type, typeOf(op, operand));
    spec.outer = extentOf(operand, 0, dim), spec.run = inner * dimOf(operand, dim), spec.in_stride = spec.run;
    spec.out_stride = inner * dimOf(op.getResult(), dim), spec.out_offset = inner * Extent(at);
    Call call{op};
    LINNET_TRY(read(call, operand));
    LINNET_TRY(write(call, op.getResult()));
    spec.where = where(call);
    LINNET_TRY(emit(call, copyKernel(spec), extentOf(operand)));
    at += tensorOf(operand).getDimSize(dim);
  }
  return {};
}

} // namespace linnet::vulkan
