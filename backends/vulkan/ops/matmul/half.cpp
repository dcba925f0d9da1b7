// The half variant: tiles in 16-bit arithmetic (half_tile.h).
#include "backends/vulkan/ops/matmul/half_tile.h"
#include "backends/vulkan/ops/matmul/packed.h"

namespace linnet::vulkan {
namespace {

/// Four elements of a row from k on. Elements beyond the row's end are zeros.
Value insideFourOf(PackedMatmul &m, Value row, Value k) {
  Variable four = m.b.variable(m.b.splat(m.e.f(0), 4));
  m.b.ifThen(m.b.lt(k, m.e.u(uint64_t(m.spec.w.k))), [&] {
    const auto parts = m.activations(m.plainRow(row), k);
    m.b.set(four, m.b.vector(parts));
  });
  return m.b.get(four);
}

} // namespace

void halfMatmul(PackedMatmul &m) {
  Emitter &e = m.e;
  Builder &b = m.b;
  // Integers with minima are converted to floats first: sums of integers would lack the minima.
  const bool integers = !backend::isFloat(m.spec.w.type) && !m.spec.asymmetric;
  HalfTile tile(e, integers);
  constexpr uint32_t kEach = 2;
  Shared own = e.shared(Builder::f32(), 4 * kEach * e.invocations(), "own");
  Value quad = b.localId(0), last = b.sub(e.extent(m.spec.m), e.u(1));
  m.forTiles([&](Value panel, Value first) {
    std::vector<Variable> sums = m.zeros(HalfTile::kPer);
    PanelReader w = m.weights(panel, quad);
    b.forRange(e.u(0), e.u(uint64_t(m.spec.w.k)), e.u(HalfTile::kDepth), [&](Value k0) {
      tile.load(
          [&](Value row, Value k) { return insideFourOf(m, b.min(b.add(first, row), last), b.add(k0, k)); },
          [&](Value k) {
            std::array<Value, 4> rows = w.rows4(b.add(k0, k));
            if (integers || !m.spec.scaled) return rows;
            const PackedMatmul::Scaling scaling = m.scalesInside(panel, quad, b.add(k0, k));
            for (Value &row : rows) row = m.scaled(row, scaling);
            return rows;
          });
      tile.add(sums, integers ? m.scalesInside(panel, quad, k0).factor : Value());
    });
    Value row = b.add(first, b.mul(b.localId(1), e.u(HalfTile::kPer)));
    for (uint32_t r = 0; r < HalfTile::kPer; r += kEach)
      m.storeBlock(own, b.mul(m.me(), e.u(4 * kEach)), b.add(row, e.u(r)), panel, quad,
                   std::span<const Variable>(sums).subspan(r, kEach));
  });
}

} // namespace linnet::vulkan
