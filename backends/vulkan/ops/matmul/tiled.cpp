// The tiled variant, for many rows. kTileK rows of w and the same columns of a are in shared memory. Each invocation
// computes 4 columns of `per` rows.
#include "backends/vulkan/ops/matmul/packed.h"

namespace linnet::vulkan {
namespace {

struct Tiled {
  static constexpr uint32_t kTileK = 16, kTileY = kMatmulTileY, kQuads = PackedMatmul::kQuads;

  PackedMatmul &m;
  Emitter &e = m.e;
  Builder &b = m.b;
  const PackedMatmulSpec &spec = m.spec;
  const MatmulVariant &variant = m.variant;
  const uint32_t per = variant.rows / kTileY;
  Shared a = {}, w = {};
  Value quad = {}, y = {};

  void emit() {
    a = e.shared(Builder::f32(), kTileK * variant.rows, "a");
    w = e.shared(Builder::f32(4), kTileK * kQuads, "w");
    quad = b.localId(0), y = b.localId(1);
    m.forTiles([&](Value panel, Value first) {
      std::vector<Variable> sums = m.zeros(per);
      b.forRange(e.u(0), e.u(uint64_t(spec.w.k)), e.u(kTileK), [&](Value k0) {
        b.barrier(); // all invocations have finished reading the previous step's a and w
        fillWeights(panel, k0);
        fillActivations(first, k0);
        b.barrier();
        multiply(sums);
      });
      // all invocations have finished reading a, whose memory now receives sums, some rows at a time
      b.barrier();
      const uint32_t each = kTileK * variant.rows / (kQuads * kTileY) / 4;
      for (uint32_t r = 0; r < per; r += each)
        m.storeBlock(a, b.mul(m.me(), e.u(4 * each)), b.add(first, b.add(b.mul(y, e.u(per)), e.u(r))), panel,
                     quad, std::span<const Variable>(sums).subspan(r, each));
    });
  }

  void multiply(std::span<const Variable> sums) {
    b.forRange(e.u(0), e.u(kTileK), e.u(1),
               [&](Value k) {
                 Value four = b.load(w, b.add(quad, b.mul(k, e.u(kQuads))));
                 Value from = b.add(b.mul(y, e.u(per)), b.mul(k, e.u(variant.rows)));
                 for (uint32_t r = 0; r < per; ++r)
                   b.set(sums[r], b.fmaScaled(b.load(a, b.add(from, e.u(r))), four, b.get(sums[r])));
               },
               {.unroll = true});
  }

  /// Invocation (quad, y) with y < 4 loads rows [4 y, 4 y + 4). Panels are padded with zeros to k_block rows.
  void fillWeights(Value panel, Value k0) {
    b.ifThen(b.lt(y, e.u(kTileK / 4)), [&] {
      PanelReader reader = m.weights(panel, quad);
      Value k = b.add(k0, b.mul(y, e.u(4)));
      std::array<Value, 4> rows = reader.rows4(k);
      const PackedMatmul::Scaling scaling = m.scalesInside(panel, quad, k);
      for (uint32_t i = 0; i < 4; ++i)
        b.store(w, b.add(b.mul(b.add(b.mul(y, e.u(4)), e.u(i)), e.u(kQuads)), quad),
                m.scaled(rows[i], scaling));
    });
  }

  /// Invocation i loads elements i, i + 128, ... of the tile, in the order of k.
  void fillActivations(Value first, Value k0) {
    b.forRange(m.me(), e.u(kTileK * variant.rows), e.u(kQuads * kTileY), [&](Value i) {
      Value k = b.bitAnd(i, e.u(kTileK - 1)), row = b.div(i, e.u(kTileK));
      Value x = b.add(k0, k), y = b.add(first, row);
      Variable value = b.variable(e.f(0));
      b.ifThen(b.logicalAnd(b.lt(x, e.u(uint64_t(spec.w.k))), b.lt(y, e.extent(spec.m))),
               [&] { b.set(value, e.load(0, b.add(b.mul(y, e.u(uint64_t(spec.a_stride))), x), Type::f32)); });
      b.store(a, b.add(b.mul(k, e.u(variant.rows)), row), b.get(value));
    });
  }
};

} // namespace

void tiledMatmul(PackedMatmul &matmul) { Tiled{matmul}.emit(); }

} // namespace linnet::vulkan
