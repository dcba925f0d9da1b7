#include "backends/vulkan/matmul/packed.h"

namespace linnet::vulkan {

Value PackedMatmul::scales(Value panel, Value quad, Value k) {
  const auto groups = spec.group ? uint64_t((spec.w.k + spec.group - 1) / spec.group) : 1;
  Value group = spec.group ? b.div(k, e.u(uint64_t(spec.group))) : e.u(0);
  Value line = b.add(b.mul(panel, e.u(groups)), group);
  return e.load4(scaleOperand(), b.add(b.mul(line, e.u(uint64_t(spec.w.n_block) / 4)), quad));
}

void PackedMatmul::forTiles(const std::function<void(Value panel, Value first_row)> &body) {
  forRows([&](Value first) { forPanels([&](Value panel) { body(panel, first); }); });
}

void PackedMatmul::forRows(const std::function<void(Value first_row)> &body) {
  Value m = e.extent(spec.m);
  Value tiles = b.div(b.add(m, e.u(variant.rows - 1)), e.u(variant.rows));
  b.forRange(b.groupId(1), tiles, b.groupCount(1), [&](Value tile) { body(b.mul(tile, e.u(variant.rows))); });
}

void PackedMatmul::forPanels(const std::function<void(Value panel)> &body) {
  b.forRange(b.groupId(0), e.unitCount(), b.groupCount(0),
             [&](Value unit) { body(b.add(unit, e.firstUnit())); });
}

std::vector<Variable> PackedMatmul::zeros(uint32_t rows) {
  std::vector<Variable> sums;
  for (uint32_t r = 0; r < rows; ++r) sums.push_back(b.variable(b.splat(e.f(0), 4)));
  return sums;
}

} // namespace linnet::vulkan
