// Attention for prompts on a GPU. Sixteen queries of a head form a tile. Their workgroup copies keys and values to
// shared memory block by block, so that each is read once for the tile. Source: Dao et al., 2022, arXiv:2205.14135.
#include "backends/vulkan/ops/attention.h"

namespace linnet::vulkan {
namespace {

/// Invocation (lane, y) handles query y of the tile: first the scores of keys lane, lane + 8, ..., then columns.
constexpr uint32_t kLanes = 8, kQueries = kAttentionTile;

struct AttentionTile {
  using Operand = AttentionSpec::Operand;
  Emitter &e;
  const VulkanAttentionSpec &spec;
  Builder &b = e.b;
  const uint32_t fours = uint32_t(spec.head_size / 4), keys = spec.head_size <= 64 ? 32 : 16;
  /// elements from row to row of keys; the extra one puts rows into different banks
  const uint32_t stride = fours + 1;
  const uint32_t each = (fours + kLanes - 1) / kLanes; ///< groups of four columns of each invocation
  Shared query = e.shared(Builder::f32(4), kQueries *fours, "query");
  Shared block = e.shared(Builder::f32(4), keys *stride, "block");
  Shared weights = e.shared(Builder::f32(), kQueries *keys, "weights");
  Value lane = b.localId(0), y = b.localId(1), me = b.add(b.mul(y, e.u(kLanes)), lane);
  Value cache_row = {}, begin = {}, end = {}; ///< the keys [begin, end) that this invocation's query sees

  void emit() {
    Value heads = e.extent(spec.heads), queries = e.extent(spec.queries);
    Value tiles = b.div(b.add(queries, e.u(kQueries - 1)), e.u(kQueries));
    auto row = [&](Value number) {
      e.forGroups(tiles, [&](Value tile) { one(b.div(number, heads), b.mod(number, heads), tile); });
    };
    e.forGroups(e.extent(spec.batch * spec.heads), row, 1);
  }

  void one(Value sequence, Value head, Value tile) {
    Value queries = e.extent(spec.queries), first = b.mul(tile, e.u(kQueries)), t = b.add(first, y);
    Value last_query = b.sub(queries, e.u(1));
    cache_row = b.mul(keyHeadOf(e, spec, b.add(b.mul(sequence, e.extent(spec.heads)), head)),
                      e.extent(spec.capacity));
    Value mine = b.min(t, last_query);
    end = endOfKeys(e, spec, sequence, mine);
    begin = beginOfKeys(e, spec, sequence, mine, end);
    Value all = endOfKeys(e, spec, sequence, b.min(b.add(first, e.u(kQueries - 1)), last_query));
    // the first query's window begins before the others'
    Value any = beginOfKeys(e, spec, sequence, first, all);
    auto rowOf = [&](Value at) { return b.add(b.mul(sequence, queries), b.min(at, last_query)); };
    b.barrier(); // all invocations have finished reading the previous tile's queries
    b.forRange(me, e.u(kQueries * fours), e.u(e.invocations()), [&](Value i) {
      Value row = rowOf(b.add(first, b.div(i, e.u(fours))));
      Value q = b.add(b.mul(row, e.extent(spec.q_stride)), b.mul(head, e.u(uint64_t(spec.head_size))));
      b.store(query, i, e.load4(Operand::q, b.add(b.shiftRight(q, e.u(2)), b.mod(i, e.u(fours)))));
    });
    Variable top = b.variable(e.f(-HUGE_VAL)), total = b.variable(e.f(0));
    std::vector<Variable> sums;
    for (uint32_t i = 0; i < each; ++i) sums.push_back(b.variable(b.splat(e.f(0), 4)));
    b.forRange(
        any ? any : e.u(0), all, e.u(keys), [&](Value key) { step(key, all, top, total, sums); },
        e.atMost(spec.capacity));
    b.ifThen(b.lt(t, queries), [&] { store(rowOf(t), head, b.get(total), sums); });
  }

  /// Copies rows of k or v to `block`. Rows beyond the last key repeat the last one; their weights are 0.
  void fill(OperandNumber operand, Value first, Value all) {
    b.forRange(me, e.u(keys * fours), e.u(e.invocations()), [&](Value i) {
      Value j = b.div(i, e.u(fours)), four = b.mod(i, e.u(fours));
      Value row = b.add(cache_row, b.min(b.add(first, j), b.sub(all, e.u(1))));
      b.store(block, b.add(b.mul(j, e.u(stride)), four),
              e.loadFour(operand, b.add(b.mul(row, e.u(fours)), four), spec.cache));
    });
  }

  void step(Value first, Value all, Variable top, Variable total, std::vector<Variable> &sums) {
    b.barrier(); // all invocations have finished reading the previous block
    fill(Operand::k, first, all);
    b.barrier();
    Value mine = b.mul(y, e.u(keys));
    for (uint32_t i = 0; i < keys / kLanes; ++i) {
      Value j = b.add(lane, e.u(i * kLanes));
      b.store(weights, b.add(mine, j), b.select(sees(b.add(first, j)), score(j), e.f(-HUGE_VAL)));
    }
    b.barrier(); // scores are stored, and keys have been read
    fill(Operand::v, first, all);
    Variable largest = b.variable(b.get(top));
    b.forRange(e.u(0), e.u(keys), e.u(1),
               [&](Value j) { b.set(largest, b.max(b.get(largest), b.load(weights, b.add(mine, j)))); });
    b.barrier(); // all invocations have read the scores
    // If a query has seen no key yet, its maximum is -infinity, and its weights are 0.
    Value before = b.get(top), now = b.get(largest), nothing = b.eq(now, e.f(-HUGE_VAL));
    Value shrink = b.select(nothing, e.f(0), e.exp(b.sub(before, now)));
    for (uint32_t i = 0; i < keys / kLanes; ++i) {
      Value at = b.add(mine, b.add(lane, e.u(i * kLanes)));
      b.store(weights, at, b.select(nothing, e.f(0), e.exp(b.sub(b.load(weights, at), now))));
    }
    b.barrier(); // weights and values are stored
    for (Variable &sum : sums) b.set(sum, b.mul(b.get(sum), b.splat(shrink, 4)));
    Variable added = b.variable(b.mul(b.get(total), shrink));
    b.forRange(e.u(0), e.u(keys), e.u(1), [&](Value j) {
      Value weight = b.load(weights, b.add(mine, j));
      b.set(added, b.add(b.get(added), weight));
      for (uint32_t i = 0; i < each; ++i) {
        Value value = b.load(block, b.add(b.mul(j, e.u(stride)), fourOf(i)));
        b.set(sums[i], b.fma(b.splat(weight, 4), value, b.get(sums[i])));
      }
    });
    b.set(top, now), b.set(total, b.get(added));
  }

  Value sees(Value key) {
    Value before_end = b.lt(key, end);
    return spec.window ? b.logicalAnd(b.le(begin, key), before_end) : before_end;
  }

  Value score(Value j) {
    Variable dot = b.variable(b.splat(e.f(0), 4));
    b.forRange(e.u(0), e.u(fours), e.u(1), [&](Value four) {
      Value q = b.load(query, b.add(b.mul(y, e.u(fours)), four));
      b.set(dot, b.fma(q, b.load(block, b.add(b.mul(j, e.u(stride)), four)), b.get(dot)));
    });
    return capped(e, spec, b.mul(sumOfFour(b, b.get(dot)), e.f(spec.scale)));
  }

  /// The index of this invocation's i-th group of four columns. Beyond the last group it is the last one again.
  Value fourOf(uint32_t i) {
    Value four = b.add(lane, e.u(i * kLanes));
    return (i + 1) * kLanes > fours ? b.min(four, e.u(fours - 1)) : four;
  }

  void store(Value row, Value head, Value total, const std::vector<Variable> &sums) {
    Value out = b.mul(b.add(b.mul(row, e.extent(spec.heads)), head), e.u(uint64_t(spec.head_size)));
    Value none = b.eq(total, e.f(0)), scale = b.div(e.f(1), total);
    for (uint32_t i = 0; i < each; ++i) {
      auto storeFour = [&] {
        for (int c = 0; c < 4; ++c) {
          Value x = b.select(none, e.f(0), b.mul(b.extract(b.get(sums[i]), c), scale));
          e.store(Operand::out, b.add(out, b.add(b.mul(fourOf(i), e.u(4)), e.u(uint64_t(c)))), spec.type, x);
        }
      };
      // two invocations that write the same value are still a race
      (i + 1) * kLanes > fours ? b.ifThen(b.lt(b.add(lane, e.u(i * kLanes)), e.u(fours)), storeFour)
                               : storeFour();
    }
  }
};

} // namespace

Kernel tiledAttentionKernel(const VulkanAttentionSpec &spec) {
  Emitter e("tiled_" + attentionName(spec), operandsOf(spec), kLanes, spec.where, kQueries);
  AttentionTile{e, spec}.emit();
  return e.finish();
}

} // namespace linnet::vulkan
