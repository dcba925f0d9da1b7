// Lowering of the ops of training.
#include "backends/cpu/gradient_kernels.h"
#include "backends/cpu/lowering.h"

using namespace mlir;

namespace linnet::cpu {
using namespace ir;
namespace {
constexpr uint32_t kGradientGrain = 4096, kColumnGrain = 64;
} // namespace

Result<std::vector<fb::RefT>> Lowering::floats(Operation *op, ValueRange values) {
  LINNET_TRY(backend::onlyF32(op, values, target));
  std::vector<fb::RefT> refs;
  for (mlir::Value value : values) {
    LINNET_ASSIGN(fb::RefT ref, dense(op, value));
    refs.push_back(ref);
  }
  return refs;
}

Result<void> Lowering::lowerCrossEntropy(CrossEntropyOp op) {
  RowSpec spec;
  spec.columns = dimOf(op.getLogits(), backend::lastDim(op.getLogits()));
  LINNET_ASSIGN(auto args, floats(op, ValueRange{op.getLogits(), op.getResult()}));
  LINNET_ASSIGN(const fb::RefT labels, dense(op, op.getLabels()));
  return emit(op, {crossEntropyKernel(spec), {args[0], labels, args[1]}, extentOf(op.getResult()), 1});
}

Result<void> Lowering::lowerCrossEntropyGrad(CrossEntropyGradOp op) {
  RowSpec spec;
  spec.columns = dimOf(op.getLogits(), backend::lastDim(op.getLogits()));
  LINNET_ASSIGN(auto args, floats(op, ValueRange{op.getLogits(), op.getGradient(), op.getResult()}));
  LINNET_ASSIGN(const fb::RefT labels, dense(op, op.getLabels()));
  return emit(
      op, {crossEntropyGradKernel(spec), {args[0], labels, args[1], args[2]}, extentOf(op.getGradient()), 1});
}

/// A matmul with the transpose of lhs, all leading positions being its K.
Result<void> Lowering::lowerContract(ContractOp op) {
  if (!op->hasAttr("linnet.in_place"))
    return errorAt(op, "target cpu adds in place only; run linnet-alias first");
  LINNET_ASSIGN(auto sum, floats(op, ValueRange{op.getResult()}));
  LINNET_ASSIGN(const Type type, commonType(op, ValueRange{op.getLhs(), op.getRhs()}));
  LINNET_ASSIGN(const fb::RefT lhs, dense(op, op.getLhs()));
  LINNET_ASSIGN(const fb::RefT rhs, dense(op, op.getRhs()));
  MatmulSpec spec;
  spec.a = spec.w = type;
  spec.transpose_a = true, spec.residual = true;
  spec.m = dimOf(op.getResult(), 0), spec.n = dimOf(op.getResult(), 1);
  spec.k = extentOf(op.getLhs(), 0, backend::lastDim(op.getLhs()));
  const Extent work = spec.m * Extent(columnBlocks(spec));
  Call call{matmulKernel(spec), {lhs, rhs, sum[0], sum[0], sum[0]}, work, 4};
  if (type != Type::f16) call.gemm = gemm(spec);
  return emit(op, std::move(call));
}

Result<void> Lowering::lowerDropout(DropoutOp op) {
  LINNET_ASSIGN(auto args, floats(op, ValueRange{op.getOperand(), op.getResult()}));
  LINNET_ASSIGN(const fb::RefT key, dense(op, op.getKey()));
  return emit(op, {dropoutKernel(backend::specOf(op)),
                   {args[0], key, args[1]},
                   extentOf(op.getResult()),
                   kGradientGrain});
}

Result<void> Lowering::lowerSumRows(SumRowsOp op) {
  LINNET_ASSIGN(auto args, floats(op, ValueRange{op.getAccumulator(), op.getOperand(), op.getResult()}));
  const SumRowsSpec spec{extentOf(op.getOperand(), 0, backend::lastDim(op.getOperand())),
                         dimOf(op.getResult(), 0)};
  return emit(op, {sumRowsKernel(spec), args, spec.columns, kColumnGrain});
}

Result<void> Lowering::lowerScatterAdd(ScatterAddOp op) {
  if (!op->hasAttr("linnet.in_place"))
    return errorAt(op, "target cpu adds in place only; run linnet-alias first");
  const auto table = tensorOf(op.getTable());
  if (table.isDynamicDim(0))
    return errorAt(op, "target cpu needs a table of static size, found {}", describe(table));
  LINNET_ASSIGN(auto args, floats(op, ValueRange{op.getResult(), op.getRows()}));
  LINNET_ASSIGN(const fb::RefT ids, dense(op, op.getIds()));
  const ScatterAddSpec spec{table.getDimSize(0), extentOf(op.getIds()), dimOf(op.getTable(), 1)};
  return emit(op, {scatterAddKernel(spec), {args[0], ids, args[1]}, spec.columns, kColumnGrain});
}

Result<void> Lowering::lowerLayerNormGrad(LayerNormGradOp op) {
  RowSpec spec;
  spec.columns = dimOf(op.getOperand(), backend::lastDim(op.getOperand()));
  spec.epsilon = op.getEpsilon().convertToFloat();
  LINNET_ASSIGN(auto args,
                floats(op, ValueRange{op.getOperand(), op.getGain(), op.getGradient(), op.getResult()}));
  return emit(op, {layerNormGradKernel(spec), args,
                   extentOf(op.getOperand(), 0, backend::lastDim(op.getOperand())), 1});
}

Result<void> Lowering::lowerAttentionGrad(AttentionGradOp op) {
  const auto q = tensorOf(op.getQ()), k = tensorOf(op.getK());
  if (q.isDynamicDim(3)) return errorAt(op, "target cpu needs a static head size, found {}", describe(q));
  AttentionGradSpec spec;
  spec.queries = dimOf(op.getQ(), 1), spec.heads = dimOf(op.getQ(), 2), spec.capacity = dimOf(op.getK(), 2);
  spec.head_size = q.getDimSize(3);
  spec.largest_capacity = k.isDynamicDim(2) ? boundOf(entry, dimName(k, 2)).value_or(0) : k.getDimSize(2);
  constexpr int64_t kLargest = 1 << 16; // two rows of floats on a thread's stack
  if (spec.largest_capacity < 1 || spec.largest_capacity > kLargest)
    return errorAt(op, "target cpu needs from 1 to {} keys, found {}", kLargest, spec.largest_capacity);
  spec.scale = op.getScale().convertToFloat();
  spec.causal = op.getCausal(), spec.length = bool(op.getLength());
  LINNET_ASSIGN(auto in, floats(op, ValueRange{op.getQ(), op.getK(), op.getV(), op.getGradient()}));
  LINNET_ASSIGN(auto out, floats(op, op.getResults()));
  LINNET_ASSIGN(const fb::RefT length, dense(op, spec.length ? mlir::Value(op.getLength()) : op.getQ()));
  in.push_back(length);
  in.insert(in.end(), out.begin(), out.end());
  return emit(op, {attentionGradKernel(spec), in, extentOf(op.getK(), 0, 2), 1});
}

Result<void> Lowering::lowerPoolGrad(PoolGradOp op) {
  PoolSpec spec;
  spec.mode = Pooling(uint32_t(op.getMode()));
  spec.positions = dimOf(op.getResult(), 1), spec.columns = dimOf(op.getResult(), 2);
  LINNET_ASSIGN(auto args, floats(op, ValueRange{op.getGradient(), op.getResult()}));
  LINNET_ASSIGN(const fb::RefT length, dense(op, op.getLength()));
  return emit(op, {poolGradKernel(spec), {args[0], length, args[1]}, extentOf(op.getResult()), 256});
}

Result<void> Lowering::lowerAdamW(AdamWOp op) {
  const AdamWSpec spec = backend::specOf(op);
  LINNET_ASSIGN(auto args,
                floats(op, ValueRange{op.getParam(), op.getGradient(), op.getM(), op.getV(), op.getLr(),
                                      op.getScale(), op.getMScale(), op.getVScale(),
                                      spec.pull != 0 ? mlir::Value(op.getStart()) : op.getParam()}));
  LINNET_ASSIGN(auto out, floats(op, op.getResults()));
  args.insert(args.end(), out.begin(), out.end());
  return emit(op, {adamwKernel(spec), args, extentOf(op.getParam()), kGradientGrain});
}

} // namespace linnet::cpu
