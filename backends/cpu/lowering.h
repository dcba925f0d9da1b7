// The lowering of each op to commands for the CPU. backends/common/lowering.h has the parts that all backends share.
// Ops: lower.cpp, lower_matmul.cpp, lower_fused.cpp.
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
  Result<void> lowerMatmul(ir::MatmulOp op);
  Result<void> lowerPackedMatmul(ir::MatmulOp op);
  Result<void> emitPlainMatmul(mlir::Operation *op, const Described<MatmulSpec> &made);
  fb::RefT integerRows(ir::MatmulOp op, const PackedMatmulSpec &spec, const fb::RefT &a);
  Result<void> lowerFused(ir::FusedOp op);
  Result<void> lowerAttentionGrad(ir::AttentionGradOp op);
  Result<void> lowerReduce(ir::ReduceOp op);
  Result<void> lowerConcat(ir::ConcatOp op);

  struct Work {
    uint32_t grain = 1;
    bool itemwise = false, scatters = false; ///< see Call
  };
  /// Emits a command of one kernel. `items` is the function of the specification that counts its work items.
  template <class Spec, class Items>
  Result<void> emitKernel(mlir::Operation *op, const Described<Spec> &made, KernelSource kernel, Items items,
                          Work work = {}) {
    Call call{.kernel = std::move(kernel),
              .work = std::invoke(items, made.spec),
              .grain = work.grain,
              .itemwise = work.itemwise,
              .scatters = work.scatters};
    for (const KernelOperand &operand : made.operands) {
      LINNET_ASSIGN(const fb::RefT ref, memoryOf(op, operand));
      call.args.push_back(ref);
    }
    return emit(op, std::move(call));
  }
  template <class Op, class Spec, class Items>
  Result<void> lowerBy(Op op, KernelSource (*make)(const Spec &), Items items, Work work = {}) {
    LINNET_ASSIGN(const Described<Spec> made, specOf(op));
    return emitKernel(op, made, make(made.spec), items, work);
  }
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
