// The lowering of each op to commands for the CPU. backends/common/lowering.h has the parts that all backends share.
// Ops: lower.cpp and ops/lower_*.cpp.
#pragma once
#include "backends/common/lowering.h"
#include "backends/cpu/call.h"
#include "backends/cpu/kernels.h"
#include "backends/cpu/lower.h"

namespace linnet::cpu {

class Lowering : public backend::ModuleLowering {
public:
  Lowering(mlir::ModuleOp module, WeightSource &weights, BlobSink &blobs, const CpuOptions &options)
      : ModuleLowering("cpu", 64, module, weights, blobs), options(options) {}

private:
  Result<void> lowerOp(mlir::Operation *op) override;
  Result<void> addCode(fb::ProgramT &program) override;
  void append(std::unique_ptr<fb::CommandT> command, Call call);
  Result<void> emit(mlir::Operation *op, Call call);
  uint32_t kernel(KernelSource source);
  /// Finishes the open command. No later op can join it.
  void settle();

  /// A GemmT that describes the product matmulKernel(spec) computes for one group.
  std::unique_ptr<fb::GemmT> gemm(const MatmulSpec &spec);
  Result<void> lowerPackedMatmul(ir::MatmulOp op);
  Result<void> emitPlainMatmul(mlir::Operation *op, const Described<MatmulSpec> &made);
  fb::RefT integerRows(ir::MatmulOp op, const PackedMatmulSpec &spec, const fb::RefT &a);
  /// Emits a command of one kernel.
  template <class Spec>
  Result<void> emitKernel(mlir::Operation *op, const Described<Spec> &made, SizedKernel kernel) {
    Call call{.kernel = std::move(kernel.source),
              .work = kernel.work.items,
              .grain = kernel.work.grain,
              .itemwise = kernel.work.itemwise,
              .scatters = kernel.work.scatters};
    for (const KernelOperand &operand : made.operands) {
      LINNET_ASSIGN(const fb::RefT ref, memoryOf(op, operand));
      call.args.push_back(ref);
    }
    return emit(op, std::move(call));
  }
  /// Lowers an op to the kernel of its specification.
  template <class Op> Result<void> lowerThis(Op op) {
    if constexpr (requires { specOf(op); }) {
      LINNET_ASSIGN(const auto made, specOf(op));
      return emitKernel(op, made, kernelOf(made.spec));
    } else {
      return errorAt(op, "target cpu does not support this op");
    }
  }
  // The ops that need more than that.
  Result<void> lowerThis(ir::MatmulOp op);
  Result<void> lowerThis(ir::FusedOp op);
  Result<void> lowerThis(ir::ConcatOp op);
  Result<void> lowerThis(ir::ContractOp op);
  Result<void> lowerThis(ir::AttentionGradOp op);
  bool readsRowsOf(ir::PanelAttr panel, Type type) const override;

  const CpuOptions &options;
  std::map<std::string, uint32_t> kernels;
  std::vector<KernelSource> sources;
  fb::CommandT *open = nullptr; ///< the last command, if the next one may still join it
  mlir::func::FuncOp open_in;   ///< the entry of `open`
  Call open_call;
};

/// Whether the generators can read elements of `type` in these panels. Their tiles have up to 64 columns.
inline bool panelFits(ir::PanelAttr panel, Type type) {
  constexpr int64_t kColumns = 64;
  return panel.getInterleave() == interleaveOf(type) && panel.getNBlock() % kColumns == 0;
}

} // namespace linnet::cpu
