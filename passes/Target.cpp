#include "passes/Target.h"

#include "ir/Shapes.h"

using namespace mlir;

namespace linnet {
namespace {
using namespace ir;

/// oneDNN's BA16a64b, BA16a64b2a and BA16a64b4a: as many rows together as fill 32 bits, which is what the
/// instructions that multiply pairs of bf16 or quadruples of bytes read.
std::optional<PanelShape> cpuPanel(Type element) {
  if (element.isF32() || element.isF16()) return PanelShape{16, 64, 1};
  if (element.isBF16()) return PanelShape{16, 64, 2};
  if (element.isInteger(8)) return PanelShape{16, 64, 4};
  if (element.isInteger(4)) return PanelShape{16, 64, 8};
  return std::nullopt;
}

/// 16 invocations take four columns each, one vector load; several rows of a panel are one run for a
/// subgroup.
std::optional<PanelShape> vulkanPanel(Type element) {
  if (element.isF32() || element.isF16() || element.isBF16() || element.isInteger(8))
    return PanelShape{16, 64, 1};
  if (element.isInteger(4)) return PanelShape{16, 64, 2};
  return std::nullopt;
}

int64_t sizesFrom(RankedTensorType type, int64_t dim) {
  int64_t product = 1;
  for (int64_t size : type.getShape().drop_front(dim)) product *= size;
  return product;
}

/// Kernels that walk rows (b, t) with a stride: attention's q, cache_append's entries, matmul's lhs.
bool stridedRows(Operation *op, unsigned operand, int64_t row) {
  auto type = llvm::cast<RankedTensorType>(op->getOperand(operand).getType());
  if (llvm::isa<AttentionOp>(op)) return operand == 0 && row == sizesFrom(type, 2);
  if (llvm::isa<CacheAppendOp>(op)) return operand == 1 && row == sizesFrom(type, 2);
  auto matmul = llvm::dyn_cast<MatmulOp>(op);
  if (!matmul || operand != 0 || matmul.getTransposeLhs()) return false;
  auto rhs = llvm::cast<RankedTensorType>(matmul.getRhs().getType());
  return panelOf(rhs) && type.getRank() >= 1 && row == type.getShape().back();
}

const TargetDescription kTargets[] = {
    {.name = "cpu",
     .alignment = 64,
     .matmul_epilogue = true,
     .fused_elementwise = true,
     .attention = true,
     .int8_rows = true,
     .bf16_attention = true,
     .bf16_lhs = true,
     .views = true,
     .in_place_caches = true,
     .panel = cpuPanel,
     .embed_reads_panels = true,
     .accepts_strided_rows = stridedRows},
    {.name = "vulkan",
     .alignment = 256, // the largest minStorageBufferOffsetAlignment that a device may have
     .matmul_epilogue = true,
     .fused_elementwise = true,
     .attention = true,
     .views = true,
     .in_place_caches = true,
     .joins = true,
     .decodes = true,
     .fastest_dtypes = {"int4", "int8", "f16", "bf16"}, // bf16 is unpacked to f32, too: no faster, less exact
     .panel = vulkanPanel,
     .embed_reads_panels = true,
     .accepts_strided_rows = stridedRows},
    {.name = "reference"},
};

} // namespace

const TargetDescription *findTarget(llvm::StringRef name) {
  for (const TargetDescription &target : kTargets)
    if (target.name == name.split(':').first) return &target;
  return nullptr;
}

std::string targetNames() {
  std::string names;
  for (const TargetDescription &target : kTargets) names += (names.empty() ? "" : ", ") + target.name;
  return names;
}

} // namespace linnet
