#include "backends/vulkan/ops/matmul/packed.h"

namespace linnet::vulkan {

PackedMatmul::Scaling PackedMatmul::scalesInside(Value panel, Value quad, Value k) {
  if (!spec.scaled || !spec.group) return {};
  const auto groups = uint64_t((spec.w.k + spec.group - 1) / spec.group),
             fours = uint64_t(spec.w.n_block) / 4;
  Value group = b.add(b.mul(panel, e.u(groups)), b.div(k, e.u(uint64_t(spec.group))));
  Value at = b.add(b.mul(group, e.u(spec.asymmetric ? 2 * fours : fours)), quad);
  Value factor = e.load4(scaleOperand(), at);
  if (!spec.asymmetric) return {factor, {}};
  // (w + 8) scale + minimum = w scale + (8 scale + minimum)
  Value minimum = e.load4(scaleOperand(), b.add(at, e.u(fours)));
  return {factor, b.fma(factor, b.splat(e.f(8), 4), minimum)};
}

void PackedMatmul::multiplyAdd(std::span<const Variable> sums, std::span<const Row> rows, PanelReader &w,
                               const Place &place, uint32_t count) {
  std::array<Value, 4> lines = w.rows4(place.k);
  // groups are multiples of 4 rows, so 4 rows share a scale
  const Scaling scaling = scalesInside(place.panel, place.quad, place.k);
  for (Value &line : lines) line = scaled(line, scaling);
  for (size_t r = 0; r < sums.size(); ++r) {
    Value sum = b.get(sums[r]);
    if (count == 4) {
      const std::array<Value, 4> a = activations(rows[r], place.k);
      for (uint32_t i = 0; i < 4; ++i) sum = b.fmaScaled(a[i], lines[i], sum);
    } else {
      for (uint32_t i = 0; i < count; ++i)
        sum = b.fmaScaled(activation(rows[r], b.add(place.k, e.u(i))), lines[i], sum);
    }
    b.set(sums[r], sum);
  }
}

void PackedMatmul::forTiles(const std::function<void(Value panel, Value first_row)> &body) {
  forRows([&](Value first) { forPanels([&](Value panel) { body(panel, first); }); });
}

void PackedMatmul::forRows(const std::function<void(Value first_row)> &body) {
  Value m = e.extent(spec.m);
  Value tiles = b.div(b.add(m, e.u(variant.rows - 1)), e.u(variant.rows));
  e.forGroups(
      tiles, [&](Value tile) { body(b.mul(tile, e.u(variant.rows))); }, 1);
}

void PackedMatmul::forPanels(const std::function<void(Value panel)> &body) {
  auto one = [&](Value unit) { body(b.add(unit, e.firstUnit())); };
  e.forGroups(e.unitCount(), one, 0, panelsOfGroup(spec, variant));
}

std::vector<Variable> PackedMatmul::zeros(uint32_t rows) {
  std::vector<Variable> sums;
  for (uint32_t r = 0; r < rows; ++r) sums.push_back(b.variable(b.splat(e.f(0), 4)));
  return sums;
}

} // namespace linnet::vulkan
