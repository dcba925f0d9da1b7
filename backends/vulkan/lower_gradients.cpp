// Lowering of the ops of training.
#include "backends/vulkan/gradient_kernels.h"
#include "backends/vulkan/lowering.h"

using namespace mlir;

namespace linnet::vulkan {
using namespace ir;
using backend::lastDim;
namespace {

bool samePlace(const fb::RefT &x, const fb::RefT &y) {
  return x.space == y.space && x.index == y.index && x.offset == y.offset;
}

} // namespace

Result<void> Lowering::readFloats(Call &call, ValueRange values) {
  LINNET_TRY(backend::onlyF32(call.op, values, target));
  for (mlir::Value value : values) LINNET_TRY(read(call, value));
  return {};
}

Result<void> Lowering::writeFloats(Call &call, ValueRange values) {
  LINNET_TRY(backend::onlyF32(call.op, values, target));
  for (mlir::Value value : values) LINNET_TRY(write(call, value));
  return {};
}

Result<void> Lowering::requireInPlace(Operation *op) {
  if (op->hasAttr("linnet.in_place")) return {};
  return errorAt(op, "target vulkan adds in place only; run linnet-alias first");
}

Result<void> Lowering::emitUnits(const Call &call, const std::vector<uint32_t> &cut, const Extent &units,
                                 const Extent &unit, uint32_t per,
                                 const std::function<Kernel(const Operands &where, bool in_parts)> &make) {
  return emitAloneOrShared(call, [&](bool alone) {
    const Operands where = Lowering::where(call, {}, alone);
    bool in_parts = where.bind.empty() && unit.isStatic();
    for (uint32_t operand : cut) in_parts &= !(where.inside >> operand & 1);
    const uint64_t bytes = 4 * uint64_t(unit.factor);
    return Choice{.kernel = make(where, in_parts),
                  .groups = {{units, per}},
                  .parts = {{in_parts ? cut : std::vector<uint32_t>(), units, bytes, 0}},
                  .where = where};
  });
}

Result<void> Lowering::lowerCrossEntropy(CrossEntropyOp op) {
  Call call{op};
  LINNET_TRY(readFloats(call, op.getLogits()));
  LINNET_TRY(read(call, op.getLabels()));
  LINNET_TRY(writeFloats(call, op.getResult()));
  const Extent columns = dimOf(op.getLogits(), lastDim(op.getLogits()));
  return emitUnits(call, {0}, extentOf(op.getResult()), columns, 1,
                   [&](const Operands &where, bool in_parts) {
                     return crossEntropyKernel({columns, in_parts, where});
                   });
}

Result<void> Lowering::lowerCrossEntropyGrad(CrossEntropyGradOp op) {
  Call call{op};
  LINNET_TRY(readFloats(call, op.getLogits()));
  LINNET_TRY(read(call, op.getLabels()));
  LINNET_TRY(readFloats(call, op.getGradient()));
  LINNET_TRY(writeFloats(call, op.getResult()));
  const Extent columns = dimOf(op.getLogits(), lastDim(op.getLogits()));
  return emitUnits(call, {0, 3}, extentOf(op.getGradient()), columns, 1,
                   [&](const Operands &where, bool in_parts) {
                     return crossEntropyGradKernel({columns, in_parts, where});
                   });
}

/// A matmul with the transpose of lhs, all leading positions being its K.
Result<void> Lowering::lowerContract(ContractOp op) {
  LINNET_TRY(requireInPlace(op));
  MatmulSpec spec;
  LINNET_ASSIGN(spec.a, commonType(op, ValueRange{op.getLhs(), op.getRhs()}));
  spec.w = spec.a;
  spec.transpose_a = true, spec.residual = true;
  spec.groups = 1, spec.m = dimOf(op.getResult(), 0), spec.n = dimOf(op.getResult(), 1);
  spec.k = extentOf(op.getLhs(), 0, lastDim(op.getLhs()));
  Call call{op};
  LINNET_TRY(read(call, op.getLhs()));
  LINNET_TRY(read(call, op.getRhs()));
  LINNET_TRY(writeFloats(call, op.getResult()));
  LINNET_TRY(read(call, op.getResult()));
  return emitPlainMatmul(call, spec);
}

Result<void> Lowering::lowerDropout(DropoutOp op) {
  Call call{op};
  LINNET_TRY(readFloats(call, op.getOperand()));
  LINNET_TRY(read(call, op.getKey()));
  LINNET_TRY(writeFloats(call, op.getResult()));
  return emitUnits(call, {0, 2}, extentOf(op.getResult()), 1, kItems,
                   [&](const Operands &where, bool in_parts) {
                     return dropoutKernel({backend::specOf(op), in_parts, where});
                   });
}

Result<void> Lowering::lowerSumRows(SumRowsOp op) {
  SumRowsSpec spec{extentOf(op.getOperand(), 0, lastDim(op.getOperand())), dimOf(op.getResult(), 0)};
  Call call{op};
  LINNET_TRY(readFloats(call, ValueRange{op.getAccumulator(), op.getOperand()}));
  LINNET_TRY(writeFloats(call, op.getResult()));
  spec.where = where(call);
  return emit(call, sumRowsKernel(spec), spec.columns, SumRowsSpec::kColumns);
}

Result<void> Lowering::lowerScatterAdd(ScatterAddOp op) {
  LINNET_TRY(requireInPlace(op));
  const auto table = tensorOf(op.getTable());
  if (table.isDynamicDim(0))
    return errorAt(op, "target vulkan needs a table of static size, found {}", describe(table));
  const Extent columns = dimOf(op.getTable(), 1);
  Call call{op};
  LINNET_TRY(read(call, op.getIds()));
  LINNET_TRY(readFloats(call, op.getRows()));
  LINNET_TRY(writeFloats(call, op.getResult()));
  return emitUnits(call, {2}, table.getDimSize(0), columns, 1, [&](const Operands &where, bool in_parts) {
    return scatterAddKernel({table.getDimSize(0), extentOf(op.getIds()), columns, in_parts, where});
  });
}

Result<void> Lowering::lowerLayerNormGrad(LayerNormGradOp op) {
  RowSpec spec;
  spec.rows = extentOf(op.getOperand(), 0, lastDim(op.getOperand()));
  spec.columns = dimOf(op.getOperand(), lastDim(op.getOperand()));
  spec.epsilon = op.getEpsilon().convertToFloat();
  Call call{op};
  LINNET_TRY(readFloats(call, ValueRange{op.getOperand(), op.getGain(), op.getGradient()}));
  LINNET_TRY(writeFloats(call, op.getResult()));
  spec.where = where(call);
  return emit(call, layerNormGradKernel(spec), spec.rows, 1);
}

/// Two kernels, and between them a few numbers of each query in working memory.
Result<void> Lowering::lowerAttentionGrad(AttentionGradOp op) {
  const auto q = tensorOf(op.getQ());
  LINNET_TRY(checkHead(op, q));
  AttentionGradSpec spec;
  spec.batch = dimOf(op.getQ(), 0), spec.queries = dimOf(op.getQ(), 1), spec.heads = dimOf(op.getQ(), 2);
  spec.capacity = dimOf(op.getK(), 2), spec.head_size = q.getDimSize(3);
  spec.scale = op.getScale().convertToFloat();
  spec.causal = op.getCausal(), spec.length = bool(op.getLength());
  const auto bytes = maxBytes(q, entry);
  if (!bytes) return errorAt(op, "the size of {} is unknown: linnet.bounds lacks a dimension", describe(q));
  const fb::RefT statistics =
      workingMemory(uint64_t(*bytes / spec.head_size * AttentionGradSpec::kStatistics));
  Call call{op};
  LINNET_TRY(readFloats(call, ValueRange{op.getQ(), op.getK(), op.getV(), op.getGradient()}));
  call.args.push_back({statistics, Type::f32, true, true});
  LINNET_TRY(writeFloats(call, op.getResults()));
  if (spec.length) LINNET_TRY(read(call, op.getLength()));
  std::vector<uint32_t> of_queries = {0, 1, 2, 3, 4, 5}, of_keys = {0, 1, 2, 3, 4, 6, 7};
  if (spec.length) of_queries.push_back(8), of_keys.push_back(8);
  auto choiceOf = [&](bool alone, bool texels) {
    auto side = [&](Kernel (*make)(const AttentionGradSpec &), const std::vector<uint32_t> &args,
                    const Extent &each) {
      spec.where = where(call, args, alone);
      if (texels) spec.where.texels = {4, 4, 4, 4};
      return Choice{.kernel = make(spec),
                    .groups = {{spec.batch * spec.heads * each, 1}},
                    .where = spec.where,
                    .args = args};
    };
    Choice choice = side(attentionQueryGradKernel, of_queries, spec.queries);
    choice.then.push_back(side(attentionKeyGradKernel, of_keys, spec.capacity));
    return choice;
  };
  // Rows in fours, for drivers that run on a CPU.
  const bool fours = spec.head_size % 4 == 0 && !(where(call, of_queries, true).inside & 15);
  std::vector<Choice> choices;
  if (fours) choices.push_back(choiceOf(true, true));
  choices.push_back(choiceOf(true, false)); // more operands than some devices bind
  choices.push_back(choiceOf(false, false));
  return emit(call, std::move(choices));
}

Result<void> Lowering::lowerPoolGrad(PoolGradOp op) {
  PoolSpec spec;
  spec.mode = Pooling(uint32_t(op.getMode()));
  spec.batch = dimOf(op.getResult(), 0), spec.positions = dimOf(op.getResult(), 1);
  spec.columns = dimOf(op.getResult(), 2);
  Call call{op};
  LINNET_TRY(readFloats(call, op.getGradient()));
  LINNET_TRY(read(call, op.getLength()));
  LINNET_TRY(writeFloats(call, op.getResult()));
  spec.where = where(call);
  return emit(call, poolGradKernel(spec), extentOf(op.getResult()));
}

/// What training programs have: each result in its operand's place. Else the results are operands of their
/// own.
Result<void> Lowering::lowerAdamW(AdamWOp op) {
  VulkanAdamWSpec spec{backend::specOf(op)};
  const mlir::Value large[] = {op.getParam(), op.getGradient(), op.getM(), op.getV()};
  Call old{op}, made{op};
  LINNET_TRY(readFloats(old, large));
  LINNET_TRY(writeFloats(made, op.getResults()));
  for (size_t i = 0; i < 4; ++i) spec.in_place &= samePlace(old.args[i].ref, made.args[i].ref);
  Call call = spec.in_place ? made : old;
  LINNET_TRY(readFloats(call, ValueRange{op.getScale(), op.getLr(), op.getMScale(), op.getVScale()}));
  std::vector<uint32_t> cut = {0, 1, 2, 3};
  auto cutNext = [&] { cut.push_back(uint32_t(call.args.size())); };
  if (spec.pull != 0) {
    cutNext();
    LINNET_TRY(readFloats(call, op.getStart()));
  }
  for (size_t i = 0; i < 4 && !spec.in_place; ++i) {
    cutNext();
    call.args.push_back(made.args[i]);
  }
  return emitUnits(call, cut, extentOf(op.getParam()), 1, kItems, [&](const Operands &where, bool in_parts) {
    spec.in_parts = in_parts, spec.where = where;
    return adamwKernel(spec);
  });
}

} // namespace linnet::vulkan
