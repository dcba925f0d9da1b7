#include "backends/vulkan/ops/attention_parts.h"

#include <fmt/format.h>

namespace linnet::vulkan {
namespace {

constexpr uint32_t kKeys = 64; ///< keys of a block: one for each invocation
using Operand = AttentionSpec::Operand;

/// The state of the online softmax: the largest score, and the sum of exp(score - top).
struct Softmax {
  Emitter &e;
  const VulkanAttentionSpec &spec;
  Variable top = e.b.variable(e.f(-HUGE_VAL)), total = e.b.variable(e.f(0));

  /// Adds one key. Returns its weight, and the factor for the previous sums.
  std::pair<Value, Value> add(Value score) {
    Builder &b = e.b;
    Value before = b.get(top), now = b.max(before, score);
    Value weight = e.exp(b.sub(score, now)), shrink = e.exp(b.sub(before, now));
    // A window may begin beyond the cache. Then no key is visible and the new key does not fit: the maximum stays
    // -infinity.
    if (spec.window) {
      Value nothing = b.eq(now, e.f(-HUGE_VAL));
      weight = b.select(nothing, e.f(0), weight), shrink = b.select(nothing, e.f(0), shrink);
    }
    b.set(top, now), b.set(total, b.fma(b.get(total), shrink, weight));
    return {weight, shrink};
  }
};

/// The position of a query, and the keys that it sees.
struct Query {
  Emitter &e;
  const VulkanAttentionSpec &spec;
  Builder &b = e.b;
  Value t, head, sequence, row; ///< row: index over all rows (b, t)
  Value first, last;            ///< keys [first, last); first is null if it is 0
  Value cache_row;              ///< row of key 0 in k and v
  /// For append: the row of the new key, and whether the cache has room for it. The new key is not in [first, last).
  Value place, fits;

  Query(Emitter &e, const VulkanAttentionSpec &spec, Value item) : e(e), spec(spec) {
    Value queries = e.extent(spec.queries), heads = e.extent(spec.heads);
    t = b.mod(item, queries), head = b.mod(b.div(item, queries), heads);
    sequence = b.div(item, b.mul(queries, heads));
    row = b.add(b.mul(sequence, queries), t);
    cache_row = b.mul(keyHeadOf(e, spec, b.add(b.mul(sequence, heads), head)), e.extent(spec.capacity));
    if (!spec.append) {
      last = endOfKeys(e, spec, sequence, t);
      first = beginOfKeys(e, spec, sequence, t, last);
      return;
    }
    Value past = ofSequence(e, spec, Operand::past, sequence), capacity = e.extent(spec.capacity);
    fits = b.lt(past, capacity), last = b.min(past, capacity), place = b.add(cache_row, past);
    first = beginOfKeys(e, spec, sequence, t, last);
  }

  Value firstKey() const { return first ? first : e.u(0); }
  /// The index of the head's first column in this query's row of q.
  Value columns() const {
    return b.add(b.mul(row, e.extent(spec.q_stride)), b.mul(head, e.u(uint64_t(spec.head_size))));
  }
  /// For append: the index of the key head's first column in the row of the new k or v. `q` is columns().
  Value newColumns(const Extent &stride, Value q) const {
    if (spec.key_group == 1 && stride == spec.q_stride) return q;
    return b.add(b.mul(row, e.extent(stride)),
                 b.mul(keyHeadOf(e, spec, head), e.u(uint64_t(spec.head_size))));
  }
  /// For append: whether this query's head writes the new rows. The first head of a group that shares a key head does.
  Value writes() const {
    if (spec.key_group == 1) return fits;
    return b.logicalAnd(fits, b.eq(b.mod(head, e.u(uint64_t(spec.key_group))), e.u(0)));
  }
};

struct Attention {
  Emitter &e;
  const VulkanAttentionSpec &spec;
  Builder &b = e.b;
  Shared query = e.shared(Builder::f32(), uint32_t(spec.head_size), "query");
  Shared weights = e.shared(Builder::f32(), kKeys, "weights");
  Shared scratch = e.shared(Builder::f32(), kKeys, "scratch");
  Value size = e.u(uint64_t(spec.head_size)), lane = b.localId(0);
  Value head_base = {}; ///< the first row of this sequence and head in k and v
  std::optional<AttentionParts> parts = {};

  /// Columns of the head that each invocation sums.
  uint32_t columnsEach() const { return uint32_t((spec.head_size + kKeys - 1) / kKeys); }

  Value score(Value key) {
    Variable sum = b.variable(e.f(0));
    Value row = b.mul(b.add(head_base, key), size);
    b.forRange(e.u(0), size, e.u(1), [&](Value d) {
      b.set(sum, b.fma(b.load(query, d), e.load(Operand::k, b.add(row, d), spec.cache), b.get(sum)));
    });
    return capped(e, spec, b.mul(b.get(sum), e.f(spec.scale)));
  }

  void one(Value item) {
    const Query at(e, spec, item);
    head_base = at.cache_row;
    if (!parts) return some(item, at, at.firstKey(), at.last);
    parts->ifNeeded(at.first, at.last, [&](Value first, Value end) { some(item, at, first, end); });
  }

  /// Handles keys [begin, end) of the keys that the query sees. Stores the result if this workgroup has it then.
  void some(Value item, const Query &at, Value begin, Value end) {
    Value q = at.columns();
    b.barrier(); // all invocations have finished reading the previous query
    b.forRange(lane, size, e.u(kKeys),
               [&](Value d) { b.store(query, d, e.load(Operand::q, b.add(q, d), spec.type)); });
    b.barrier();
    Softmax softmax{e, spec};
    Variable top = softmax.top, total = softmax.total;
    std::vector<Variable> sums;
    for (uint32_t i = 0; i < columnsEach(); ++i) sums.push_back(b.variable(e.f(0)));
    b.forRange(
        begin, end, e.u(kKeys), [&](Value first) { block(first, end, top, total, sums); },
        e.atMost(spec.capacity));
    auto rest = [&] {
      if (spec.append) append(at, softmax, sums);
      store(at, total, sums);
    };
    if (!parts) return rest();
    const AttentionParts::Share share{top, total, sums, [&](const auto &body) { forColumns(body); }};
    parts->meet(lane, item, share, rest);
  }

  void store(const Query &at, Variable total, std::vector<Variable> &sums) {
    Value out = b.mul(b.add(b.mul(at.row, e.extent(spec.heads)), at.head), size);
    forColumns([&](uint32_t i, Value d) {
      Value empty = b.eq(b.get(total), e.f(0));
      e.store(Operand::out, b.add(out, d), spec.type,
              b.select(empty, e.f(0), b.div(b.get(sums[i]), b.get(total))));
    });
  }

  /// Adds the new key to the sums and writes its key and value to the caches. The query attends to the rounded values
  /// that the caches hold.
  void append(const Query &at, Softmax &softmax, std::vector<Variable> &sums) {
    Value from = at.columns(), to = b.mul(at.place, size);
    Value from_key = at.newColumns(spec.key_stride, from),
          from_value = at.newColumns(spec.value_stride, from);
    auto entry = [&](uint32_t operand, Value from, Value d) {
      return e.roundTo(e.load(operand, b.add(from, d), spec.type), spec.cache);
    };
    Variable mine = b.variable(e.f(0));
    forColumns([&](uint32_t, Value d) {
      b.set(mine, b.fma(b.load(query, d), entry(spec.newKey(), from_key, d), b.get(mine)));
    });
    Value dot = e.reduce(scratch, b.get(mine), [&](Value x, Value y) { return b.add(x, y); });
    Value score = b.select(at.fits, capped(e, spec, b.mul(dot, e.f(spec.scale))), e.f(-HUGE_VAL));
    auto [weight, shrink] = softmax.add(score);
    Value writes = at.writes();
    forColumns([&](uint32_t i, Value d) {
      Value k = entry(spec.newKey(), from_key, d), v = entry(spec.newValue(), from_value, d);
      b.set(sums[i], b.fma(weight, v, b.mul(b.get(sums[i]), shrink)));
      b.ifThen(writes, [&] {
        e.store(spec.keyCache(), b.add(to, d), spec.cache, k);
        e.store(spec.valueCache(), b.add(to, d), spec.cache, v);
      });
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
    // contains a barrier
    Value sum = e.reduce(scratch, weight, [&](Value x, Value y) { return b.add(x, y); });
    Value shrink = e.exp(b.sub(before, now));
    b.set(top, now);
    b.set(total, b.fma(b.get(total), shrink, sum));
    Value count = b.min(e.u(kKeys), b.sub(last, first));
    forColumns([&](uint32_t i, Value d) {
      b.set(sums[i], b.mul(b.get(sums[i]), shrink));
      Value base = b.add(b.mul(b.add(head_base, first), size), d);
      auto one = [&](Value j) {
        Value v = e.load(Operand::v, b.add(base, b.mul(j, size)), spec.cache);
        b.set(sums[i], b.fma(b.load(weights, j), v, b.get(sums[i])));
      };
      b.forRange(e.u(0), count, e.u(1), one, e.atMost(kKeys));
    });
    b.barrier(); // all invocations have read the weights
  }
};

/// Attention of a query by one subgroup, for drivers that run on a CPU. It uses no shared memory, loads four elements
/// at a time, and handles eight keys at a time. Each invocation holds the whole query: on llvmpipe a broadcast first
/// searches for an active invocation, in a loop. Invocations own keys while they compute scores, and groups of four
/// columns while they sum values.
struct SubgroupAttention {
  static constexpr uint32_t kLanes = 8;
  Emitter &e;
  const VulkanAttentionSpec &spec;
  Builder &b = e.b;
  uint32_t fours = uint32_t(spec.head_size / 4), each = (fours + kLanes - 1) / kLanes;
  Value lane = b.subgroupLane();

  std::array<Value, kLanes> ofAll(Value x) {
    std::array<Value, kLanes> all;
    for (uint32_t i = 0; i < kLanes; ++i) all[i] = b.subgroupBroadcast(x, i);
    return all;
  }
  /// The index of this invocation's i-th group of four columns. Beyond the last group it is the last one again.
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
    Value q = b.shiftRight(at.columns(), e.u(2));
    for (uint32_t four = 0; four < fours; ++four) query.push_back(e.load4(Operand::q, b.add(q, e.u(four))));
    for (uint32_t i = 0; i < each; ++i) sums.push_back(b.variable(b.splat(e.f(0), 4)));
    Softmax softmax{e, spec};
    Variable top = softmax.top, total = softmax.total;
    b.forRange(
        at.firstKey(), at.last, e.u(kLanes), [&](Value first) { block(at, first, query, top, total, sums); },
        e.atMost(spec.capacity));
    if (spec.append) append(at, query, softmax, sums);
    Value out = b.mul(b.add(b.mul(at.row, e.extent(spec.heads)), at.head), e.u(uint64_t(spec.head_size)));
    Value none = b.eq(b.get(total), e.f(0)), scale = b.div(e.f(1), b.get(total));
    for (uint32_t i = 0; i < each; ++i) {
      auto storeFour = [&] {
        for (int c = 0; c < 4; ++c) {
          Value x = b.mul(b.extract(b.get(sums[i]), c), scale);
          e.store(Operand::out, b.add(out, b.add(b.mul(mine(i), e.u(4)), e.u(uint64_t(c)))), spec.type,
                  b.select(none, e.f(0), x));
        }
      };
      // two invocations that write the same value are still a race
      const Value once = owns(i);
      once ? b.ifThen(once, storeFour) : storeFour();
    }
  }

  /// Does the same as Attention::append.
  void append(const Query &at, const std::vector<Value> &query, Softmax &softmax,
              std::vector<Variable> &sums) {
    Value columns = at.columns(), from = b.shiftRight(columns, e.u(2));
    Value to = b.mul(at.place, e.u(uint64_t(spec.head_size)));
    auto fourOfNew = [&](const Extent &stride) {
      Value start = at.newColumns(stride, columns);
      return start.id == columns.id ? from : b.shiftRight(start, e.u(2));
    };
    Value from_key = fourOfNew(spec.key_stride), from_value = fourOfNew(spec.value_stride);
    std::vector<Value> keys, values;
    for (uint32_t i = 0; i < each; ++i) {
      keys.push_back(entry(spec.newKey(), b.add(from_key, mine(i))));
      values.push_back(entry(spec.newValue(), b.add(from_value, mine(i))));
    }
    Value dot = b.splat(e.f(0), 4);
    for (uint32_t four = 0; four < fours; ++four)
      dot = b.fma(entry(spec.newKey(), b.add(from_key, e.u(four))), query[four], dot);
    Value score = sumOfFour(b, dot);
    score = b.select(at.fits, capped(e, spec, b.mul(score, e.f(spec.scale))), e.f(-HUGE_VAL));
    Value writes = at.writes();
    auto [weight, shrink] = softmax.add(score);
    for (uint32_t i = 0; i < each; ++i) {
      b.set(sums[i], b.fma(b.splat(weight, 4), values[i], b.mul(b.get(sums[i]), b.splat(shrink, 4))));
      b.ifThen(owns(i) ? b.logicalAnd(writes, owns(i)) : writes, [&] {
        for (int c = 0; c < 4; ++c) {
          Value column = b.add(to, b.add(b.mul(mine(i), e.u(4)), e.u(uint64_t(c))));
          e.store(spec.keyCache(), column, spec.cache, b.extract(keys[i], c));
          e.store(spec.valueCache(), column, spec.cache, b.extract(values[i], c));
        }
      });
    }
  }
  /// Four columns of a new row, rounded to the cache's type.
  Value entry(uint32_t operand, Value four) {
    Value x = e.load4(operand, four);
    if (spec.cache == Type::f32) return x;
    Value parts[4];
    for (int c = 0; c < 4; ++c) parts[c] = e.roundTo(b.extract(x, c), spec.cache);
    return b.vector({parts[0], parts[1], parts[2], parts[3]});
  }
  /// Whether this invocation's i-th group of four columns is its own and not the last one again. Null if it always is.
  Value owns(uint32_t i) {
    return (i + 1) * kLanes > fours ? b.lt(b.add(lane, e.u(i * kLanes)), e.u(fours)) : Value();
  }

  void block(const Query &at, Value first, const std::vector<Value> &query, Variable top, Variable total,
             std::vector<Variable> &sums) {
    Value key = b.add(first, lane), row = rowOf(at, key), dot = b.splat(e.f(0), 4);
    for (uint32_t four = 0; four < fours; ++four)
      dot = b.fma(e.loadFour(Operand::k, b.add(row, e.u(four)), spec.cache), query[four], dot);
    Value score = sumOfFour(b, dot);
    score = b.select(b.lt(key, at.last), capped(e, spec, b.mul(score, e.f(spec.scale))), e.f(-HUGE_VAL));
    Value before = b.get(top), now = b.max(before, b.subgroupReduce(spirv::SubgroupOp::max, score));
    Value weight = e.exp(b.sub(score, now)), shrink = e.exp(b.sub(before, now));
    const std::array<Value, kLanes> weights = ofAll(weight);
    Value sum = b.mul(b.get(total), shrink);
    for (Value other : weights) sum = b.add(sum, other);
    b.set(top, now), b.set(total, sum);
    for (uint32_t i = 0; i < each; ++i) {
      Value x = b.mul(b.get(sums[i]), b.splat(shrink, 4));
      for (uint32_t j = 0; j < kLanes; ++j) {
        Value value = e.loadFour(Operand::v, b.add(rowOf(at, b.add(first, e.u(j))), mine(i)), spec.cache);
        x = b.fma(b.splat(weights[j], 4), value, x);
      }
      b.set(sums[i], x);
    }
  }
};

} // namespace

std::string attentionName(const VulkanAttentionSpec &spec) {
  std::string append = spec.append ? "_append" : "";
  if (spec.append && (spec.key_stride != spec.q_stride || spec.value_stride != spec.q_stride))
    append += fmt::format("_ldk{}_ldv{}", spec.key_stride.text(), spec.value_stride.text());
  return spec.key(Walk::all) + append + (spec.parts > 1 ? fmt::format("_parts{}", spec.parts) : "");
}

Kernel attentionKernel(const VulkanAttentionSpec &spec) {
  Emitter e(attentionName(spec), spec.operands(), kKeys, spec.where);
  Attention body{e, spec};
  if (spec.parts > 1) {
    e.require("gpu"); // a CPU runs few workgroups at once: splitting gains nothing
    body.parts.emplace(e, spec, kKeys, spec.operands() - 2);
  }
  e.forGroups(e.extent(spec.rows()), [&](Value item) { body.one(item); });
  return e.finish();
}

Kernel subgroupAttentionKernel(const VulkanAttentionSpec &spec) {
  Emitter e("subgroup_" + attentionName(spec), spec.operands(), SubgroupAttention::kLanes, spec.where);
  for (const char *feature : {"cpu", "subgroup_ballot", "subgroup_arithmetic"}) e.require(feature);
  e.requireSubgroup(SubgroupAttention::kLanes);
  SubgroupAttention body{e, spec};
  e.forGroups(e.extent(spec.rows()), [&](Value item) { body.one(item); });
  return e.finish();
}

} // namespace linnet::vulkan
