#include "backends/cpu/lower.h"

#include "backends/cpu/gradient_kernels.h"
#include "backends/cpu/lowering.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace linnet::cpu {
using namespace ir;
namespace {

/// Numbers of work items that a thread takes at once. A grain's work must be longer than taking it. The kinds: moved
/// elements; elements of columns of a few rows; elements of long streams; columns of many rows.
constexpr uint32_t kElementGrain = 1024, kColumnGrain = 256, kStreamGrain = 4096, kTallColumnGrain = 64;

} // namespace

Result<void> Lowering::lowerOp(Operation *op) {
  using Done = Result<void>;
  return llvm::TypeSwitch<Operation *, Done>(op)
      .Case<MatmulOp>([&](auto o) { return lowerMatmul(o); })
      .Case<FusedOp>([&](auto o) { return lowerFused(o); })
      .Case<AttentionOp>([&](auto o) { return lowerBy(o, attentionKernel, &AttentionSpec::rows); })
      .Case<MaskOp>([&](auto o) { return lowerBy(o, maskKernel, &MaskSpec::rows); })
      .Case<CacheAppendOp>([&](auto o) {
        return lowerBy(o, cacheAppendKernel, &CacheAppendSpec::rows,
                       {.grain = 16, .itemwise = true, .scatters = true});
      })
      .Case<EmbedOp>([&](auto o) { return lowerBy(o, embedKernel, &EmbedSpec::ids); })
      .Case<PositionsOp>(
          [&](auto o) { return lowerBy(o, positionsKernel, &PositionsSpec::elements, {kElementGrain}); })
      .Case<LayerNormOp, RmsNormOp>(
          [&](auto o) { return lowerBy(o, normKernel, &NormSpec::rows, {.itemwise = true}); })
      .Case<SoftmaxOp>([&](auto o) { return lowerBy(o, softmaxKernel, &RowSpec::rows); })
      .Case<ArgmaxOp>([&](auto o) { return lowerBy(o, argmaxKernel, &RowSpec::rows); })
      .Case<ReduceOp>([&](auto o) { return lowerReduce(o); })
      .Case<PoolOp>([&](auto o) { return lowerBy(o, poolKernel, &PoolSpec::elements, {kColumnGrain}); })
      .Case<TransposeOp>(
          [&](auto o) { return lowerBy(o, transposeKernel, &TransposeSpec::elements, {kElementGrain}); })
      .Case<RotaryOp>([&](auto o) { return lowerBy(o, rotaryKernel, &RotarySpec::headRows); })
      .Case<SliceOp>([&](auto o) { return lowerBy(o, copyKernel, &CopySpec::elements, {kElementGrain}); })
      .Case<ConcatOp>([&](auto o) { return lowerConcat(o); })
      .Case<CrossEntropyOp>([&](auto o) { return lowerBy(o, crossEntropyKernel, &CrossEntropySpec::rows); })
      .Case<CrossEntropyGradOp>(
          [&](auto o) { return lowerBy(o, crossEntropyGradKernel, &CrossEntropyGradSpec::rows); })
      .Case<ContractOp>([&](auto o) -> Done {
        LINNET_ASSIGN(const auto made, specOf(o));
        return emitPlainMatmul(o, made);
      })
      .Case<DropoutOp>(
          [&](auto o) { return lowerBy(o, dropoutKernel, &DropoutSpec::elements, {kStreamGrain}); })
      .Case<SumRowsOp>(
          [&](auto o) { return lowerBy(o, sumRowsKernel, &SumRowsSpec::columns, {kTallColumnGrain}); })
      .Case<ScatterAddOp>(
          [&](auto o) { return lowerBy(o, scatterAddKernel, &ScatterAddSpec::columns, {kTallColumnGrain}); })
      .Case<LayerNormGradOp>(
          [&](auto o) { return lowerBy(o, layerNormGradKernel, &LayerNormGradSpec::rows); })
      .Case<AttentionGradOp>([&](auto o) { return lowerAttentionGrad(o); })
      .Case<PoolGradOp>(
          [&](auto o) { return lowerBy(o, poolGradKernel, &PoolGradSpec::elements, {kColumnGrain}); })
      .Case<AdamWOp>([&](auto o) { return lowerBy(o, adamwKernel, &AdamWSpec::elements, {kStreamGrain}); })
      .Default([&](Operation *o) -> Done { return errorAt(o, "target cpu does not support this op"); });
}

Result<void> Lowering::lowerReduce(ReduceOp op) {
  LINNET_ASSIGN(const auto made, specOf(op));
  const bool by_row = made.spec.inner == Extent(1);
  return emitKernel(op, made, reduceKernel(made.spec), &ReduceSpec::elements,
                    {by_row ? 1 : kTallColumnGrain});
}

Result<void> Lowering::lowerConcat(ConcatOp op) {
  LINNET_ASSIGN(const auto copies, specsOf(op));
  for (const auto &made : copies)
    LINNET_TRY(emitKernel(op, made, copyKernel(made.spec), &CopySpec::elements, {kElementGrain}));
  return {};
}

Result<void> Lowering::lowerAttentionGrad(AttentionGradOp op) {
  LINNET_ASSIGN(const auto made, specOf(op));
  const RankedTensorType k = tensorOf(op.getK());
  const int64_t keys = k.isDynamicDim(2) ? boundOf(entry, dimName(k, 2)).value_or(0) : k.getDimSize(2);
  constexpr int64_t kMost = 1 << 16; // a thread has two or three rows of so many floats on its stack
  if (keys < 1 || keys > kMost)
    return errorAt(op, "target cpu needs from 1 to {} keys, found {}", kMost, keys);
  return emitKernel(op, made, attentionGradKernel(made.spec, keys),
                    [](const AttentionGradSpec &spec) { return spec.batch * spec.keyHeads(); });
}

bool Lowering::readsRowsOf(PanelAttr panel, Type type) const { return panelFits(panel, type); }

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
    if (images[i].empty()) continue; // the image would be the same as the next one, which the runtime uses
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
