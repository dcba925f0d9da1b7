// Inside of lowerToVulkan: what the lowering of each op works with, beside what all backends share
// (backends/common/lowering.h). Ops: lower_ops.cpp, lower_matmul.cpp, lower_fused.cpp.
#pragma once
#include "backends/common/lowering.h"
#include "backends/vulkan/kernels.h"
#include "backends/vulkan/lower.h"

namespace linnet::vulkan {

using backend::commonType;
using backend::errorAt;
using backend::Operand;
using backend::tensorOf;
using backend::typeOf;

/// One operand of a kernel.
struct Arg {
  fb::RefT ref; ///< begins anywhere
  Type type;
  bool written = false;
};

/// One axis of workgroups: ceil(amount / per).
struct Axis {
  Extent amount;
  uint32_t per = 1;
};

/// A large operand that may be bound in parts.
struct Parts {
  uint32_t operand;
  int64_t units;
  uint64_t unit_bytes;
  bool along_x = false; ///< workgroups in x count units
};

/// One kernel that does the work, where a size is in [least, most].
struct Choice {
  Kernel kernel;
  std::vector<Axis> groups;
  std::vector<Parts> parts = {};
  Extent amount = 1;
  int64_t least = 0, most = int64_t(1) << 56;
  std::optional<Operands> where = {}; ///< how the kernel has its operands, if not as the others
};

/// Words of a texel that has four elements (i4: two rows of four).
uint8_t texelWords(Type type);

class Lowering : public backend::ModuleLowering {
public:
  Lowering(mlir::ModuleOp module, WeightSource &weights, BlobSink &blobs, const VulkanOptions &options)
      : ModuleLowering("vulkan", 256, module, weights, blobs), options(options) {}

private:
  Result<void> lowerOp(mlir::Operation *op) override;
  Result<void> addCode(fb::ProgramT &program) override;

  /// Operands of a dispatch, gathered one by one in the kernel's order.
  struct Call {
    mlir::Operation *op;
    std::vector<Arg> args = {};
    std::optional<uint32_t> in_parts = {}; ///< an operand that choices may cut in Parts
  };
  Result<void> read(Call &call, mlir::Value value);
  Result<void> write(Call &call, mlir::Value value);
  Result<void> readPacked(Call &call, mlir::Value value);
  /// Rows may have gaps between them: returns their distance, `row` elements where there are none.
  Result<Extent> readRows(Call &call, mlir::Value value, const Extent &row);
  /// How the operands lie: what the kernels must know of it.
  static Operands where(const Call &call);
  Result<void> emit(const Call &call, std::vector<Choice> choices);
  Result<void> emit(const Call &call, Kernel kernel, const Extent &items, uint32_t per = kItems) {
    return emit(call, {Choice{std::move(kernel), {{items, per}}}});
  }
  uint32_t shader(const Kernel &kernel);
  fb::StepT step(const Call &call, const Operands &where, const Choice &choice);

  Result<void> lowerMatmul(ir::MatmulOp op);
  Result<void> lowerPackedMatmul(ir::MatmulOp op);
  Result<void> lowerPlainMatmul(ir::MatmulOp op);
  Result<void> lowerFused(ir::FusedOp op);
  Result<void> lowerAttention(ir::AttentionOp op);
  Result<void> lowerMask(ir::MaskOp op);
  Result<void> lowerCacheAppend(ir::CacheAppendOp op);
  Result<void> lowerEmbed(ir::EmbedOp op);
  Result<void> lowerPositions(ir::PositionsOp op);
  Result<void> lowerLayerNorm(ir::LayerNormOp op);
  Result<void> lowerRows(mlir::Operation *op, Kernel (*make)(const RowSpec &));
  Result<void> lowerReduce(ir::ReduceOp op);
  Result<void> lowerPool(ir::PoolOp op);
  Result<void> lowerTranspose(ir::TransposeOp op);
  Result<void> lowerSlice(ir::SliceOp op);
  Result<void> lowerConcat(ir::ConcatOp op);

  const VulkanOptions &options;
  std::map<std::string, uint32_t> shaders;
  std::vector<Kernel> kernels;
};

} // namespace linnet::vulkan
