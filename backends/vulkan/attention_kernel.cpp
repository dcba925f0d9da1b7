#include "backends/vulkan/emitter.h"
#include "backends/vulkan/kernels.h"

#include <fmt/format.h>

#include <bit>

namespace linnet::vulkan {
namespace {

constexpr uint32_t kKeys = 64; ///< of a block: one an invocation

/// Where a query is and what it sees.
struct Query {
  Emitter &e;
  const AttentionSpec &spec;
  Builder &b = e.b;
  Value t, head, sequence, row, last; ///< row: number among all rows (b, t); last: one past the last key
  Value cache_row;                    ///< of key 0 in k and v

  Query(Emitter &e, const AttentionSpec &spec, Value item) : e(e), spec(spec) {
    Value queries = e.extent(spec.queries), heads = e.extent(spec.heads);
    t = b.mod(item, queries), head = b.mod(b.div(item, queries), heads);
    sequence = b.div(item, b.mul(queries, heads));
    row = b.add(b.mul(sequence, queries), t), last = end();
    cache_row = b.mul(b.add(b.mul(sequence, heads), head), e.extent(spec.capacity));
  }

private:
  Value integer(uint32_t operand) { return b.bitcast(e.load(operand, sequence, Type::i32), Builder::u32()); }
  Value end() {
    Value past = spec.past ? integer(4) : e.u(0);
    Value end = b.add(past, spec.causal ? b.add(t, e.u(1)) : e.extent(spec.queries));
    if (spec.length) end = b.min(end, b.add(past, integer(4 + spec.past)));
    return b.min(end, e.extent(spec.capacity));
  }
};

struct Attention {
  Emitter &e;
  const AttentionSpec &spec;
  Builder &b = e.b;
  Shared query = e.shared(Builder::f32(), uint32_t(spec.head_size), "query");
  Shared weights = e.shared(Builder::f32(), kKeys, "weights");
  Shared scratch = e.shared(Builder::f32(), kKeys, "scratch");
  Value size = e.u(uint64_t(spec.head_size)), lane = b.localId(0);
  Value head_base = {}; ///< of this sequence's and head's rows in k and v

  /// Columns of the head that an invocation sums values of.
  uint32_t columnsEach() const { return uint32_t((spec.head_size + kKeys - 1) / kKeys); }

  Value score(Value key) {
    Variable sum = b.variable(e.f(0));
    Value row = b.mul(b.add(head_base, key), size);
    b.forRange(e.u(0), size, e.u(1), [&](Value d) {
      b.set(sum, b.fma(b.load(query, d), e.load(1, b.add(row, d), spec.cache), b.get(sum)));
    });
    return b.mul(b.get(sum), e.f(spec.scale));
  }

  void one(Value item) {
    const Query at(e, spec, item);
    Value row = at.row, h = at.head, last = at.last;
    head_base = at.cache_row;
    Value q = b.add(b.mul(row, e.extent(spec.q_stride)), b.mul(h, size));
    b.barrier(); // the query before is done with it
    b.forRange(lane, size, e.u(kKeys),
               [&](Value d) { b.store(query, d, e.load(0, b.add(q, d), spec.type)); });
    b.barrier();
    Variable top = b.variable(e.f(-HUGE_VAL)), total = b.variable(e.f(0));
    std::vector<Variable> sums;
    for (uint32_t i = 0; i < columnsEach(); ++i) sums.push_back(b.variable(e.f(0)));
    b.forRange(e.u(0), last, e.u(kKeys), [&](Value first) { block(first, last, top, total, sums); });
    Value out = b.mul(b.add(b.mul(row, e.extent(spec.heads)), h), size);
    forColumns([&](uint32_t i, Value d) {
      Value empty = b.eq(b.get(total), e.f(0));
      e.store(3, b.add(out, d), spec.type, b.select(empty, e.f(0), b.div(b.get(sums[i]), b.get(total))));
    });
  }

  void forColumns(const std::function<void(uint32_t, Value)> &body) {
    e.forOwn(lane, kKeys, uint32_t(spec.head_size), body);
  }

  void block(Value first, Value last, Variable top, Variable total, std::vector<Variable> &sums) {
    Value key = b.add(first, lane);
    Variable mine = b.variable(e.f(-HUGE_VAL));
    b.ifThen(b.lt(key, last), [&] { b.set(mine, score(key)); });
    Value largest = e.reduce(scratch, b.get(mine), [&](Value x, Value y) { return b.max(x, y); });
    Value before = b.get(top), now = b.max(before, largest);
    Value weight = e.exp(b.sub(b.get(mine), now));
    b.store(weights, lane, weight);
    Value sum = e.reduce(scratch, weight, [&](Value x, Value y) { return b.add(x, y); }); // has a barrier
    Value shrink = e.exp(b.sub(before, now));
    b.set(top, now);
    b.set(total, b.fma(b.get(total), shrink, sum));
    Value count = b.min(e.u(kKeys), b.sub(last, first));
    forColumns([&](uint32_t i, Value d) {
      b.set(sums[i], b.mul(b.get(sums[i]), shrink));
      Value base = b.add(b.mul(b.add(head_base, first), size), d);
      b.forRange(e.u(0), count, e.u(1), [&](Value j) {
        Value v = e.load(2, b.add(base, b.mul(j, size)), spec.cache);
        b.set(sums[i], b.fma(b.load(weights, j), v, b.get(sums[i])));
      });
    });
    b.barrier(); // weights are read
  }
};

/// A query by one subgroup, for drivers that run on a CPU: no shared memory, loads of four elements, eight
/// keys at a time. Invocations own keys while scores are computed and fours of columns while values are
/// summed.
struct SubgroupAttention {
  static constexpr uint32_t kLanes = 8;
  Emitter &e;
  const AttentionSpec &spec;
  Builder &b = e.b;
  uint32_t fours = uint32_t(spec.head_size / 4), each = (fours + kLanes - 1) / kLanes;
  Value lane = b.subgroupLane();

  std::array<Value, kLanes> ofAll(Value x) {
    std::array<Value, kLanes> all;
    for (uint32_t i = 0; i < kLanes; ++i) all[i] = b.subgroupBroadcast(x, i);
    return all;
  }
  /// Which four of the head's columns is this invocation's i-th: the last again where there are no more.
  Value mine(uint32_t i) {
    Value four = i ? b.add(lane, e.u(i * kLanes)) : lane;
    return (i + 1) * kLanes > fours ? b.min(four, e.u(fours - 1)) : four;
  }
  Value rowOf(const Query &at, Value key) {
    return b.mul(b.add(at.cache_row, b.min(key, b.sub(at.last, e.u(1)))), e.u(fours));
  }

  void one(Value item) {
    const Query at(e, spec, item);
    std::vector<Value> query;
    std::vector<Variable> sums;
    Value q = b.add(b.mul(at.row, e.extent(spec.q_stride)), b.mul(at.head, e.u(uint64_t(spec.head_size))));
    for (uint32_t i = 0; i < each; ++i) {
      query.push_back(e.load4(0, b.add(b.shiftRight(q, e.u(2)), mine(i))));
      sums.push_back(b.variable(b.splat(e.f(0), 4)));
    }
    Variable top = b.variable(e.f(-HUGE_VAL)), total = b.variable(e.f(0));
    b.forRange(e.u(0), at.last, e.u(kLanes), [&](Value first) { block(at, first, query, top, total, sums); });
    Value out = b.mul(b.add(b.mul(at.row, e.extent(spec.heads)), at.head), e.u(uint64_t(spec.head_size)));
    Value none = b.eq(b.get(total), e.f(0)), scale = b.div(e.f(1), b.get(total));
    for (uint32_t i = 0; i < each; ++i)
      for (int c = 0; c < 4; ++c) {
        Value x = b.mul(b.extract(b.get(sums[i]), c), scale);
        e.store(3, b.add(out, b.add(b.mul(mine(i), e.u(4)), e.u(uint64_t(c)))), spec.type,
                b.select(none, e.f(0), x));
      }
  }

  void block(const Query &at, Value first, const std::vector<Value> &query, Variable top, Variable total,
             std::vector<Variable> &sums) {
    Value key = b.add(first, lane), row = rowOf(at, key), dot = b.splat(e.f(0), 4);
    for (uint32_t four = 0; four < fours; ++four)
      dot = b.fma(e.loadFour(1, b.add(row, e.u(four)), spec.cache),
                  b.subgroupBroadcast(query[four / kLanes], four % kLanes), dot);
    Value score =
        b.add(b.add(b.extract(dot, 0), b.extract(dot, 1)), b.add(b.extract(dot, 2), b.extract(dot, 3)));
    score = b.select(b.lt(key, at.last), b.mul(score, e.f(spec.scale)), e.f(-HUGE_VAL));
    Value before = b.get(top), now = before;
    for (Value other : ofAll(score)) now = b.max(now, other);
    Value weight = e.exp(b.sub(score, now)), shrink = e.exp(b.sub(before, now));
    const std::array<Value, kLanes> weights = ofAll(weight);
    Value sum = b.mul(b.get(total), shrink);
    for (Value other : weights) sum = b.add(sum, other);
    b.set(top, now), b.set(total, sum);
    for (uint32_t i = 0; i < each; ++i) {
      Value x = b.mul(b.get(sums[i]), b.splat(shrink, 4));
      for (uint32_t j = 0; j < kLanes; ++j) {
        Value value = e.loadFour(2, b.add(rowOf(at, b.add(first, e.u(j))), mine(i)), spec.cache);
        x = b.fma(b.splat(weights[j], 4), value, x);
      }
      b.set(sums[i], x);
    }
  }
};

std::string nameOf(const AttentionSpec &spec) {
  using backend::nameOf;
  return fmt::format("attention_{}_cache_{}_b{}_t{}_h{}_s{}_d{}_ldq{}_scale{:x}{}{}{}", nameOf(spec.type),
                     nameOf(spec.cache), spec.batch.text(), spec.queries.text(), spec.heads.text(),
                     spec.capacity.text(), spec.head_size, spec.q_stride.text(),
                     std::bit_cast<uint32_t>(spec.scale), spec.causal ? "_causal" : "",
                     spec.past ? "_past" : "", spec.length ? "_length" : "");
}

} // namespace

Kernel attentionKernel(const AttentionSpec &spec) {
  Emitter e(nameOf(spec), 4u + spec.past + spec.length, kKeys, spec.where);
  Attention body{e, spec};
  e.forGroups(e.extent(spec.batch * spec.heads * spec.queries), [&](Value item) { body.one(item); });
  return e.finish();
}

Kernel subgroupAttentionKernel(const AttentionSpec &spec) {
  Emitter e("subgroup_" + nameOf(spec), 4u + spec.past + spec.length, SubgroupAttention::kLanes, spec.where);
  for (const char *feature : {"cpu", "subgroup_basic", "subgroup_ballot"}) e.require(feature);
  e.requireSubgroup(SubgroupAttention::kLanes);
  SubgroupAttention body{e, spec};
  e.forGroups(e.extent(spec.batch * spec.heads * spec.queries), [&](Value item) { body.one(item); });
  return e.finish();
}

} // namespace linnet::vulkan
