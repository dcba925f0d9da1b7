// The lanes variant, for few rows on a GPU. The lanes of a subgroup share k. Each owns four columns, and adjacent lanes
// read adjacent memory. Lanes add their sums by shuffles, subgroups of a workgroup in shared memory. Workgroups that
// share a long k add in working memory (last_done.h).
#include "backends/vulkan/ops/matmul/packed.h"

#include <algorithm>
#include <bit>

namespace linnet::vulkan {
namespace {

class Lanes {
public:
  explicit Lanes(PackedMatmul &matmul) : m(matmul) {}

  void emit() {
    lane = b.subgroupLane(), subgroup = b.subgroupId(), size = b.subgroupSize();
    slice = variant.pieces > 1 ? b.mod(b.groupId(2), e.u(variant.slices)) : b.groupId(2);
    quad = b.add(b.bitAnd(lane, e.u(quads - 1)), b.mul(slice, e.u(quads)));
    part = b.div(b.add(b.mul(subgroup, size), lane), e.u(quads));
    if (variant.pieces > 1) {
      piece = b.div(b.groupId(2), e.u(variant.slices));
      part = b.add(part, b.mul(piece, e.u(e.invocations() / quads)));
      last_done.emplace(e, m.partsOperand(), m.partsOperand() + 1);
    }
    partial = e.shared(Builder::f32(), e.invocations() / variant.subgroups.least * elements, "partial");
    if (spec.argmax) m.argmax.emplace(e, spec, variant, quads, m.tokenOperand());
    m.forRows([&](Value first) {
      const std::vector<PackedMatmul::Row> rows = m.rowsOf(first);
      if (m.argmax) m.argmax->begin(first);
      m.forPanels([&](Value panel) {
        std::vector<Variable> sums = m.zeros(variant.rows);
        multiply(sums, rows, panel);
        if (m.argmax) m.argmax->clear(panel);
        meetLanes(sums);
        meetSubgroups(sums);
        finish(first, panel);
      });
      if (m.argmax) m.argmax->end();
    });
  }

private:
  /// All invocations run the same number of steps, so that a driver can unroll the loop. Some run one more.
  void multiply(std::span<const Variable> sums, std::span<const PackedMatmul::Row> rows, Value panel) {
    const auto whole = uint64_t(spec.w.k / 4 * 4);
    const uint64_t step = 4 * uint64_t(e.invocations() / quads) * variant.pieces, steps = whole / step;
    PanelReader w = m.weights(panel, quad);
    Value begin = b.mul(part, e.u(4));
    if (steps)
      b.forRange(e.u(0), e.u(steps), e.u(1), [&](Value i) {
        m.multiplyAdd(sums, rows, w, {panel, quad, b.add(begin, b.mul(i, e.u(step)))}, 4);
      });
    if (whole % step) {
      Value k = b.add(begin, e.u(steps * step));
      b.ifThen(b.lt(k, e.u(whole)), [&] { m.multiplyAdd(sums, rows, w, {panel, quad, k}, 4); });
    }
    if (const auto rest = uint32_t(spec.w.k % 4))
      b.ifThen(b.eq(part, e.u(0)), [&] { m.multiplyAdd(sums, rows, w, {panel, quad, e.u(whole)}, rest); });
  }

  /// Lanes whose distance is a multiple of `quads` have the same columns. Each gets the subgroup's sums of its columns.
  void meetLanes(std::span<const Variable> sums) {
    // the most steps for any allowed subgroup size
    const auto steps = uint32_t(std::bit_width(variant.subgroups.most / quads)) - 1;
    auto step = [&](Value i) {
      Value apart = b.shiftLeft(e.u(quads), i);
      b.ifThen(b.lt(apart, size), [&] {
        for (Variable sum : sums) b.set(sum, b.add(b.get(sum), b.subgroupShuffleXor(b.get(sum), apart)));
      });
    };
    b.forRange(e.u(0), e.u(steps), e.u(1), step, {.unroll = true});
  }

  void meetSubgroups(std::span<const Variable> sums) {
    b.barrier(); // all invocations have read the previous tile's sums
    b.ifThen(b.lt(lane, e.u(quads)), [&] {
      Value own = b.add(b.mul(subgroup, e.u(elements)), b.mul(lane, e.u(4)));
      for (uint32_t r = 0; r < sums.size(); ++r)
        for (uint32_t j = 0; j < 4; ++j)
          b.store(partial, b.add(own, e.u(r * columns + j)), b.extract(b.get(sums[r]), int(j)));
    });
    b.barrier();
  }

  /// Each invocation finishes its own elements.
  void finish(Value first, Value panel) {
    auto forOwn = [&](const std::function<void(Value i)> &body) {
      b.forRange(m.me(), e.u(elements), e.u(e.invocations()), body);
    };
    Value count = b.div(e.u(e.invocations()), size);
    auto sumOf = [&](Value i) {
      return total(count, [&](Value s) { return b.load(partial, b.add(b.mul(s, e.u(elements)), i)); });
    };
    if (variant.pieces == 1) return forOwn([&](Value i) { store(first, panel, i, sumOf(i)); });
    Value tile = b.add(b.mul(b.div(first, e.u(variant.rows)), e.u(uint64_t(spec.w.count()))), panel);
    Value counter = b.add(b.mul(tile, e.u(variant.slices)), slice);
    auto at = [&](Value number, Value i) {
      Value before = b.add(b.mul(counter, e.u(variant.pieces)), number);
      return b.add(b.mul(before, e.u(elements)), i);
    };
    forOwn([&](Value i) { e.store(m.partsOperand(), at(piece, i), Type::f32, sumOf(i)); });
    last_done->ofGroups(m.me(), {counter, e.u(1), e.u(variant.pieces)}, [&] {
      forOwn([&](Value i) {
        Value sum = total(e.u(variant.pieces),
                          [&](Value p) { return e.load(m.partsOperand(), at(p, i), Type::f32); });
        store(first, panel, i, sum);
      });
    });
  }
  Value total(Value count, const std::function<Value(Value)> &term) {
    Variable sum = b.variable(e.f(0));
    const uint32_t most = std::max(variant.pieces, e.invocations() / variant.subgroups.least);
    auto one = [&](Value i) { b.set(sum, b.add(b.get(sum), term(i))); };
    b.forRange(e.u(0), count, e.u(1), one, e.atMost(most));
    return b.get(sum);
  }
  void store(Value first, Value panel, Value i, Value sum) {
    Value row = b.add(first, b.div(i, e.u(columns)));
    Value column = b.add(b.mod(i, e.u(columns)), b.mul(slice, e.u(columns)));
    m.withColumn(panel, column, [&](const PackedMatmul::Column &c) { m.storeInside(row, c, sum); });
  }

  PackedMatmul &m;
  Emitter &e = m.e;
  Builder &b = m.b;
  const PackedMatmulSpec &spec = m.spec;
  const MatmulVariant &variant = m.variant;
  const uint32_t quads = m.quads(), columns = 4 * quads, elements = variant.rows * columns;
  Value lane = {}, subgroup = {}, size = {};
  Value slice = {}, quad = {}; ///< positions in the panel
  Value piece = {}, part = {}; ///< positions in k
  Shared partial = {};         ///< sums of each subgroup
  std::optional<LastDone> last_done = {};
};

} // namespace

void lanesMatmul(PackedMatmul &matmul) { Lanes(matmul).emit(); }

} // namespace linnet::vulkan
