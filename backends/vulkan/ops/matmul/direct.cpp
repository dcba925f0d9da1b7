// The direct variant, for few rows: an invocation multiplies its own columns of a panel, for all of k or for its part
// of k.
#include "backends/vulkan/ops/matmul/packed.h"

namespace linnet::vulkan {
namespace {

struct Direct {
  PackedMatmul &m;
  Emitter &e = m.e;
  Builder &b = m.b;
  const PackedMatmulSpec &spec = m.spec;
  const MatmulVariant &variant = m.variant;
  Value quad = {};
  Private own = {};    ///< used without a split
  Shared partial = {}; ///< used with a split

  using Row = PackedMatmul::Row;

  void emit() {
    quad = b.localId(0);
    if (variant.slices > 1) quad = b.add(quad, b.mul(b.groupId(2), e.u(m.quads())));
    if (spec.norm && !variant.subgroup)
      m.scratch = e.shared(Builder::f32(int(variant.rows)), e.invocations(), "scratch");
    if (variant.split > 1)
      partial = e.shared(Builder::f32(), 4 * e.invocations() * variant.rows, "partial");
    else
      own = b.privateArray(Builder::f32(), 4 * variant.rows, "own");
    if (spec.argmax) m.argmax.emplace(e, spec, variant, m.quads(), m.tokenOperand());
    m.forRows([&](Value first) {
      const std::vector<Row> rows = m.rowsOf(first);
      if (m.argmax) m.argmax->begin(first);
      m.forPanels([&](Value panel) { multiply(rows, first, panel); });
      if (m.argmax) m.argmax->end();
    });
  }

  void multiply(std::span<const Row> rows, Value first, Value panel) {
    std::vector<Variable> sums = m.zeros(variant.rows);
    Value begin = variant.split > 1 ? b.mul(b.localId(1), e.u(4)) : e.u(0);
    PanelReader w = m.weights(panel, quad);
    walk(sums, rows, w, panel, begin, e.u(4 * variant.split));
    if (m.argmax) m.argmax->clear(panel);
    if (variant.split > 1)
      meet(sums, first, panel);
    else
      m.storeBlock(own, e.u(0), first, panel, quad, sums);
  }

  /// sums += a w for k = begin, begin + step, ..., four elements at a time. Then the last k mod 4 elements.
  void walk(std::span<Variable> sums, std::span<const Row> rows, PanelReader &w, Value panel, Value begin,
            Value step) {
    const auto whole = uint64_t(spec.w.k / 4 * 4);
    b.forRange(begin, e.u(whole), step, [&](Value k) { m.multiplyAdd(sums, rows, w, {panel, quad, k}, 4); });
    if (const auto rest = uint32_t(spec.w.k % 4)) {
      auto tail = [&] { m.multiplyAdd(sums, rows, w, {panel, quad, e.u(whole)}, rest); };
      variant.split > 1 ? b.ifThen(b.eq(b.localId(1), e.u(0)), tail) : tail();
    }
  }

  /// Adds up the parts of the sums over k. Each invocation adds the parts of its own elements.
  void meet(std::span<const Variable> sums, Value first, Value panel) {
    const uint32_t columns = 4 * m.quads();
    b.barrier(); // all invocations have read the previous tile's sums
    for (uint32_t r = 0; r < sums.size(); ++r)
      for (uint32_t j = 0; j < 4; ++j)
        b.store(partial, b.add(b.mul(m.me(), e.u(4)), e.u(4 * e.invocations() * r + j)),
                b.extract(b.get(sums[r]), int(j)));
    b.barrier();
    b.forRange(m.me(), e.u(columns * sums.size()), e.u(e.invocations()), [&](Value i) {
      Value r = b.div(i, e.u(columns)), column = b.mod(i, e.u(columns));
      Value from = b.add(b.mul(r, e.u(4 * e.invocations())), column);
      Variable sum = b.variable(e.f(0));
      b.forRange(e.u(0), e.u(variant.split), e.u(1), [&](Value s) {
        b.set(sum, b.add(b.get(sum), b.load(partial, b.add(from, b.mul(s, e.u(columns))))));
      });
      if (variant.slices > 1) column = b.add(column, b.mul(b.groupId(2), e.u(columns)));
      m.withColumn(panel, column,
                   [&](const PackedMatmul::Column &c) { m.storeInside(b.add(first, r), c, b.get(sum)); });
    });
  }
};

} // namespace

void directMatmul(PackedMatmul &matmul) { Direct{matmul}.emit(); }

} // namespace linnet::vulkan
