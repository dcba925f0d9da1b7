#include "backends/vulkan/description.h"

#include "backends/common/rows.h"

using namespace mlir;

namespace linnet::vulkan {
namespace {

/// 16 invocations each load a vector of four columns. A subgroup reads several rows of a panel as consecutive memory.
std::optional<PanelShape> vulkanPanel(Type element) {
  if (element.isF32() || element.isF16() || element.isBF16() || element.isInteger(8))
    return PanelShape{16, 64, 1};
  if (element.isInteger(4)) return PanelShape{16, 64, 2};
  return std::nullopt;
}

} // namespace

const TargetDescription &description() {
  static const TargetDescription target = {
      .name = "vulkan",
      .alignment = 256, // the largest minStorageBufferOffsetAlignment that Vulkan allows
      .matmul_epilogue = true,
      .fused_elementwise = true,
      .attention = true,
      .views = true,
      .in_place_caches = true,
      .joins = true,
      .decodes = true,
      .fastest_dtypes = {"int4", "int8", "f16",
                         // bf16 is unpacked to f32 like f16, so it is not faster, and it is less exact
                         "bf16"},
      .panel = vulkanPanel,
      .embed_reads_panels = true,
      .accepts_strided_rows = backend::acceptsStridedRows};
  return target;
}

} // namespace linnet::vulkan
