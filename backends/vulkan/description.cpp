#include "backends/vulkan/description.h"

#include "backends/common/rows.h"

using namespace mlir;

namespace linnet::vulkan {
namespace {

/// 16 invocations take four columns each, one vector load; several rows of a panel are one run for a
/// subgroup.
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
      .alignment = 256, // the largest minStorageBufferOffsetAlignment that a device may have
      .matmul_epilogue = true,
      .fused_elementwise = true,
      .attention = true,
      .views = true,
      .in_place_caches = true,
      .joins = true,
      .decodes = true,
      .fastest_dtypes = {"int4", "int8", "f16",
                         "bf16"}, // bf16 is unpacked to f32, too: no faster, less exact
      .panel = vulkanPanel,
      .embed_reads_panels = true,
      .accepts_strided_rows = backend::acceptsStridedRows};
  return target;
}

} // namespace linnet::vulkan
