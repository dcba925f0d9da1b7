#include "backends/cpu/description.h"

#include "backends/common/rows.h"

using namespace mlir;

namespace linnet::cpu {
namespace {

/// oneDNN's formats BA16a64b, BA16a64b2a and BA16a64b4a. Interleaved rows fill 32 bits. Instructions that multiply
/// pairs of bf16 or four bytes read whole 32-bit words.
std::optional<PanelShape> cpuPanel(Type element) {
  if (element.isF32() || element.isF16()) return PanelShape{16, 64, 1};
  if (element.isBF16()) return PanelShape{16, 64, 2};
  if (element.isInteger(8)) return PanelShape{16, 64, 4};
  if (element.isInteger(4)) return PanelShape{16, 64, 8};
  return std::nullopt;
}

} // namespace

const TargetDescription &description() {
  static const TargetDescription target = {.name = "cpu",
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
                                           .accepts_strided_rows = backend::acceptsStridedRows};
  return target;
}

} // namespace linnet::cpu
