#include "backends/cpu/lower.h"

#include "backends/cpu/lowering.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace linnet::cpu {
using namespace ir;

Result<void> Lowering::lowerOp(Operation *op) {
  using Done = Result<void>;
  return llvm::TypeSwitch<Operation *, Done>(op)
      .Case<MatmulOp>([&](auto o) { return lowerMatmul(o); })
      .Case<FusedOp>([&](auto o) { return lowerFused(o); })
      .Case<AttentionOp>([&](auto o) { return lowerAttention(o); })
      .Case<MaskOp>([&](auto o) { return lowerMask(o); })
      .Case<CacheAppendOp>([&](auto o) { return lowerCacheAppend(o); })
      .Case<EmbedOp>([&](auto o) { return lowerEmbed(o); })
      .Case<PositionsOp>([&](auto o) { return lowerPositions(o); })
      .Case<LayerNormOp>([&](auto o) { return lowerLayerNorm(o); })
      .Case<SoftmaxOp>([&](auto o) { return lowerRows(o, softmaxKernel); })
      .Case<ArgmaxOp>([&](auto o) { return lowerRows(o, argmaxKernel); })
      .Case<ReduceOp>([&](auto o) { return lowerReduce(o); })
      .Case<PoolOp>([&](auto o) { return lowerPool(o); })
      .Case<TransposeOp>([&](auto o) { return lowerTranspose(o); })
      .Case<SliceOp>([&](auto o) { return lowerSlice(o); })
      .Case<ConcatOp>([&](auto o) { return lowerConcat(o); })
      .Case<CrossEntropyOp>([&](auto o) { return lowerCrossEntropy(o); })
      .Case<CrossEntropyGradOp>([&](auto o) { return lowerCrossEntropyGrad(o); })
      .Case<ContractOp>([&](auto o) { return lowerContract(o); })
      .Case<DropoutOp>([&](auto o) { return lowerDropout(o); })
      .Case<SumRowsOp>([&](auto o) { return lowerSumRows(o); })
      .Case<ScatterAddOp>([&](auto o) { return lowerScatterAdd(o); })
      .Case<LayerNormGradOp>([&](auto o) { return lowerLayerNormGrad(o); })
      .Case<AttentionGradOp>([&](auto o) { return lowerAttentionGrad(o); })
      .Case<PoolGradOp>([&](auto o) { return lowerPoolGrad(o); })
      .Case<AdamWOp>([&](auto o) { return lowerAdamW(o); })
      .Default([&](Operation *o) -> Done { return errorAt(o, "target cpu does not support this op"); });
}

uint32_t Lowering::kernel(KernelSource source) {
  auto [found, fresh] = kernels.try_emplace(source.name, uint32_t(sources.size()));
  if (fresh) sources.push_back(std::move(source));
  return found->second;
}

void Lowering::append(std::unique_ptr<fb::CommandT> made, Call call) {
  const bool neighbours = open && open_in == entry && open->only_for == made->only_for;
  const int64_t items = neighbours ? itemsInTurn(open_call, call) : 0;
  if (items) {
    auto add = [](fb::ExprT &to, fb::ExprT &from) {
      std::move(from.terms.begin(), from.terms.end(), std::back_inserter(to.terms));
    };
    add(*open->flops, *made->flops), add(*open->bytes, *made->bytes);
    joinCommands(*made, *open);
    open_call = inTurn(std::move(open_call), std::move(call), items);
    return;
  }
  settle();
  open = made.get(), open_in = entry, open_call = std::move(call);
  push(std::move(made));
}

void Lowering::settle() {
  if (!open) return;
  fb::KernelCallT body;
  body.kernel = kernel(std::move(open_call.kernel));
  for (const fb::RefT &ref : open_call.args) body.args.push_back(std::make_unique<fb::RefT>(ref));
  body.work = expression({open_call.work});
  body.grain = open_call.grain;
  body.gemm = std::move(open_call.gemm);
  open->body.Set(std::move(body));
  open = nullptr;
}

Result<void> Lowering::emit(Operation *op, Call call) {
  append(command(op), std::move(call));
  return {};
}

Result<void> Lowering::addCode(fb::ProgramT &program) {
  settle();
  LINNET_ASSIGN(const std::vector<Isa> isas, selectIsas(options.isas));
  for (const KernelSource &source : sources) program.kernels.push_back(source.name);
  if (sources.empty()) return {};
  LINNET_ASSIGN(const std::vector<std::string> images, buildImages(sources, isas, options.listener));
  for (size_t i = 0; i < isas.size(); ++i) {
    if (images[i].empty()) continue; // the runtime takes the next one
    auto code = std::make_unique<fb::CodeT>();
    code->isa = isas[i].name;
    code->features = isas[i].features;
    LINNET_TRY(blobs.begin());
    LINNET_TRY(blobs.append(std::as_bytes(std::span(images[i]))));
    LINNET_ASSIGN(fb::BlobT blob, blobs.end());
    code->blob = std::make_unique<fb::BlobT>(std::move(blob));
    program.code.push_back(std::move(code));
  }
  return {};
}

} // namespace linnet::cpu

namespace linnet {

Result<fb::ProgramT> lowerToCpu(mlir::ModuleOp planned, WeightSource &weights, BlobSink &blobs,
                                const CpuOptions &options) {
  return cpu::Lowering(planned, weights, blobs, options).run();
}

} // namespace linnet
