#include "backends/cpu/lower.h"

#include "backends/cpu/lowering.h"

using namespace mlir;

namespace linnet::cpu {
using namespace ir;

Result<void> Lowering::lowerOp(Operation *op) {
  return backend::withOp(op, [this](auto o) { return lowerThis(o); });
}

Result<void> Lowering::lowerThis(ConcatOp op) {
  LINNET_ASSIGN(const auto copies, specsOf(op));
  for (const auto &made : copies) LINNET_TRY(emitKernel(op, made, kernelOf(made.spec)));
  return {};
}

Result<void> Lowering::lowerThis(ContractOp op) {
  LINNET_ASSIGN(const auto made, specOf(op));
  return emitPlainMatmul(op, made);
}

Result<void> Lowering::lowerThis(AttentionGradOp op) {
  LINNET_ASSIGN(const auto made, specOf(op));
  const RankedTensorType k = tensorOf(op.getK());
  const int64_t keys = k.isDynamicDim(2) ? boundOf(entry, dimName(k, 2)).value_or(0) : k.getDimSize(2);
  constexpr int64_t kMost = 1 << 16; // a thread has two or three rows of so many floats on its stack
  if (keys < 1 || keys > kMost)
    return errorAt(op, "target cpu needs from 1 to {} keys, found {}", kMost, keys);
  return emitKernel(op, made, attentionGradKernel(made.spec, keys));
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
