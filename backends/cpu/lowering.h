// Inside of lowerToCpu: what the lowering of each op works with, beside what all backends share
// (backends/common/lowering.h). Ops: lower_matmul.cpp, lower_ops.cpp, lower_fused.cpp.
#pragma once
#include "backends/common/lowering.h"
#include "backends/cpu/call.h"
#include "backends/cpu/kernels.h"
#include "backends/cpu/lower.h"

namespace linnet::cpu {

using backend::commonType;
using backend::errorAt;
using backend::Operand;
using backend::tensorOf;
using backend::typeOf;

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
  /// The command before, once nothing joins it any more.
  void settle();

  /// What matmulKernel(spec) computes for one group, in the artifact's words.
  std::unique_ptr<fb::GemmT> gemm(const MatmulSpec &spec);
  Result<void> lowerMatmul(ir::MatmulOp op);
  Result<void> lowerPackedMatmul(ir::MatmulOp op);
  Result<void> lowerPlainMatmul(ir::MatmulOp op);
  fb::RefT integerRows(ir::MatmulOp op, const PackedMatmulSpec &spec, const fb::RefT &a);
  Result<void> lowerFused(ir::FusedOp op);
  Result<void> lowerAttention(ir::AttentionOp op);
  Result<void> lowerMask(ir::MaskOp op);
  Result<void> lowerCacheAppend(ir::CacheAppendOp op);
  Result<void> lowerEmbed(ir::EmbedOp op);
  Result<void> lowerPositions(ir::PositionsOp op);
  Result<void> lowerLayerNorm(ir::LayerNormOp op);
  Result<void> lowerRows(mlir::Operation *op, KernelSource (*make)(const RowSpec &));
  Result<void> lowerReduce(ir::ReduceOp op);
  Result<void> lowerPool(ir::PoolOp op);
  Result<void> lowerTranspose(ir::TransposeOp op);
  Result<void> lowerSlice(ir::SliceOp op);
  Result<void> lowerConcat(ir::ConcatOp op);

  // training: lower_gradients.cpp
  /// Operands that have to be f32 in consecutive memory.
  Result<std::vector<fb::RefT>> floats(mlir::Operation *op, mlir::ValueRange values);
  Result<void> lowerCrossEntropy(ir::CrossEntropyOp op);
  Result<void> lowerCrossEntropyGrad(ir::CrossEntropyGradOp op);
  Result<void> lowerContract(ir::ContractOp op);
  Result<void> lowerDropout(ir::DropoutOp op);
  Result<void> lowerSumRows(ir::SumRowsOp op);
  Result<void> lowerScatterAdd(ir::ScatterAddOp op);
  Result<void> lowerLayerNormGrad(ir::LayerNormGradOp op);
  Result<void> lowerAttentionGrad(ir::AttentionGradOp op);
  Result<void> lowerPoolGrad(ir::PoolGradOp op);
  Result<void> lowerAdamW(ir::AdamWOp op);

  const CpuOptions &options;
  std::map<std::string, uint32_t> kernels;
  std::vector<KernelSource> sources;
  fb::CommandT *open = nullptr; ///< the last command while another may join it
  mlir::func::FuncOp open_in;   ///< its entry
  Call open_call;
};

/// Whether the generators read elements of `type` in these panels.
inline bool panelFits(ir::PanelAttr panel, Type type) {
  return panel.getInterleave() == interleaveOf(type) && panel.getNBlock() % 16 == 0;
}

} // namespace linnet::cpu
