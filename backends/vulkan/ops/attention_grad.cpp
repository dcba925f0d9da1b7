// Gradients of attention without atomics. In the first kernel a workgroup handles one query, in the second one key.
#include "backends/vulkan/emitter.h"
#include "backends/vulkan/ops/attention.h"
#include "backends/vulkan/ops/training.h"

namespace linnet::vulkan {
namespace {

constexpr Type kFloat = Type::f32;
/// keys of a query, or queries of a key, in one step: one for each invocation
constexpr uint32_t kLanes = 64;

/// The base of both kernels. Each workgroup owns two rows: a query and its gradient, or a key and its value. It
/// multiplies them by rows of the other side. The own rows are in shared memory. On drivers that run on a CPU, rows are
/// texels of four elements: fetching four is faster than reading one from shared memory.
struct AttentionGrad {
  enum Operand : uint32_t { q, k, v, gradient, statistics };
  Emitter &e;
  const AttentionGradSpec &spec;
  Builder &b = e.b;
  uint32_t head_size = uint32_t(spec.head_size);
  const bool fetched = e.texelWords(q) == 4;
  Shared mine = fetched ? Shared() : e.shared(Builder::f32(), head_size, "mine");
  Shared other = fetched ? Shared() : e.shared(Builder::f32(), head_size, "other");
  uint32_t of_mine = 0, of_other = 0;
  Value owner = {}; ///< index of the own rows' first part
  Value lane = b.localId(0), size = e.u(head_size);
  Value heads = e.extent(spec.heads), queries = e.extent(spec.queries), capacity = e.extent(spec.capacity);
  Value sequence = {}, head = {}, both = {}; ///< both = sequence * heads + head
  Value key_both = {};                       ///< the same index for the key head

  /// Selects a head. `number` is its index over all sequences.
  void ofHead(Value number) {
    both = number;
    sequence = b.div(both, heads), head = b.mod(both, heads);
    key_both = keyHeadOf(e, spec, both);
  }
  /// The score of a product of a query and a key, and the cap's derivative there. `slope` is null without a cap.
  struct Score {
    Value value, slope;
  };
  Score scoreOf(Value product) {
    Value scaled = b.mul(product, e.f(spec.scale));
    if (spec.cap == 0) return {scaled, {}};
    Value ratio = e.tanh(b.mul(scaled, e.f(1 / double(spec.cap))));
    return {b.mul(ratio, e.f(spec.cap)), b.sub(e.f(1), b.mul(ratio, ratio))};
  }
  /// The gradient with respect to the product of a query and a key with weight p. `d` is the key's (gradient . value)
  /// minus their weighted mean.
  Value slopeOf(const Score &score, Value p, Value d) {
    Value slope = b.mul(b.mul(p, d), e.f(spec.scale));
    return spec.cap == 0 ? slope : b.mul(slope, score.slope);
  }
  /// The first element of query t's row in q. keyRow: of key j's row in k.
  Value queryRow(Value t) {
    return b.mul(b.add(b.mul(b.add(b.mul(sequence, queries), t), heads), head), size);
  }
  Value keyRow(Value j) { return b.mul(b.add(b.mul(key_both, capacity), j), size); }
  Value statistic(Value t, uint32_t which) {
    return b.add(b.mul(b.add(b.mul(both, queries), t), e.u(kQueryStatistics)), e.u(which));
  }
  /// The number of valid positions of the sequence.
  Value length(uint32_t operand) {
    Value length = b.max(e.load(operand, sequence, Type::i32), b.constant(int32_t(0)));
    return b.bitcast(length, Builder::u32());
  }

  void load(uint32_t from, uint32_t other_from, Value row) {
    of_mine = from, of_other = other_from, owner = inParts(row);
    if (fetched) return;
    b.barrier(); // all invocations have finished reading the previous rows
    e.forOwn(lane, kLanes, head_size, [&](uint32_t, Value d) {
      b.store(mine, d, e.load(from, b.add(row, d), kFloat));
      b.store(other, d, e.load(other_from, b.add(row, d), kFloat));
    });
    b.barrier();
  }
  // --- rows in parts of `width` elements: texels, or single elements
  const int width = fetched ? 4 : 1;
  const uint32_t parts = head_size / uint32_t(width);

  Value inParts(Value row) { return fetched ? b.shiftRight(row, e.u(2)) : row; }
  Value partOf(uint32_t x, Value at) { return fetched ? e.load4(x, at) : e.load(x, at, kFloat); }
  Value partOfMine(Value part) { return fetched ? partOf(of_mine, b.add(owner, part)) : b.load(mine, part); }
  Value partOfOther(Value part) {
    return fetched ? partOf(of_other, b.add(owner, part)) : b.load(other, part);
  }
  Variable zero() { return b.variable(b.splat(e.f(0), width)); }
  Value total(Variable sum) { return fetched ? sumOfFour(b, b.get(sum)) : b.get(sum); }

  /// Returns mine . x[row] and other . y[row]. x and y are operands.
  std::pair<Value, Value> dots(uint32_t x, uint32_t y, Value row) {
    Variable sum = zero(), other_sum = zero();
    Value first = inParts(row);
    b.forRange(e.u(0), e.u(parts), e.u(1), [&](Value part) {
      Value at = b.add(first, part);
      b.set(sum, b.fma(partOfMine(part), partOf(x, at), b.get(sum)));
      b.set(other_sum, b.fma(partOfOther(part), partOf(y, at), b.get(other_sum)));
    });
    return {total(sum), total(other_sum)};
  }

  // --- sums over rows; each invocation sums its own parts of the columns
  std::vector<Variable> zeros() {
    std::vector<Variable> sums;
    for (uint32_t i = 0; i * kLanes < parts; ++i) sums.push_back(zero());
    return sums;
  }
  /// sums[column] += sum over i < count of factors[i] * x[row(i)][column]
  void accumulate(std::vector<Variable> &sums, Shared factors, Value count, uint32_t x,
                  const std::function<Value(Value)> &row) {
    e.forOwn(lane, kLanes, parts, [&](uint32_t c, Value part) {
      auto one = [&](Value i) {
        Value factor = b.splat(b.load(factors, i), width);
        b.set(sums[c], b.fma(factor, partOf(x, b.add(inParts(row(i)), part)), b.get(sums[c])));
      };
      b.forRange(e.u(0), count, e.u(1), one, e.atMost(kLanes));
    });
  }
  void store(uint32_t operand, Value row, const std::vector<Variable> &sums) {
    e.forOwn(lane, kLanes, parts, [&](uint32_t c, Value part) {
      Value at = b.add(row, b.mul(part, e.u(uint64_t(width)))), sum = b.get(sums[c]);
      for (int i = 0; i < width; ++i)
        e.store(operand, b.add(at, e.u(uint64_t(i))), kFloat, b.extract(sum, i));
    });
  }
};

struct QueryGrad : AttentionGrad {
  enum : uint32_t { dq = 5, lengths = 6 };
  Shared scratch = e.shared(Builder::f32(), kLanes, "scratch");
  Shared slopes = e.shared(Builder::f32(), kLanes, "slopes");

  struct Softmax {
    Value largest, inverse, mean;
  };

  void one(Value number) {
    ofHead(b.div(number, queries));
    Value t = b.mod(number, queries), seen = spec.causal ? b.add(t, e.u(1)) : queries;
    if (spec.length) seen = b.min(seen, length(lengths));
    seen = b.min(seen, capacity);
    Value begin = {}; // null if there is no window: the first key is then 0
    if (spec.window) {
      Value position = b.add(t, e.u(1));
      begin = b.min(b.sub(position, b.min(position, e.u(uint64_t(spec.window)))), seen);
    }
    load(q, gradient, queryRow(t));
    const Softmax softmax = softmaxOf(begin, seen);
    b.ifThen(b.eq(lane, e.u(0)), [&] {
      const Value values[] = {softmax.largest, softmax.inverse, softmax.mean};
      for (uint32_t i = 0; i < 3; ++i) e.store(statistics, statistic(t, i), kFloat, values[i]);
    });
    std::vector<Variable> sums = zeros();
    auto block = [&](Value first) {
      Value j = b.add(first, lane);
      Variable slope = b.variable(e.f(0));
      b.ifThen(b.lt(j, seen), [&] {
        auto [s, d] = dots(k, v, keyRow(j));
        const Score score = scoreOf(s);
        Value p = b.mul(e.exp(b.sub(score.value, softmax.largest)), softmax.inverse);
        b.set(slope, slopeOf(score, p, b.sub(d, softmax.mean)));
      });
      b.barrier(); // the previous block's slopes have been read
      b.store(slopes, lane, b.get(slope));
      b.barrier();
      accumulate(sums, slopes, b.min(e.u(kLanes), b.sub(seen, first)), k,
                 [&](Value i) { return keyRow(b.add(first, i)); });
    };
    b.forRange(begin ? begin : e.u(0), seen, e.u(kLanes), block, e.atMost(spec.capacity));
    store(dq, queryRow(t), sums);
  }

  /// Each invocation reads its own keys, then the workgroup combines the results.
  Softmax softmaxOf(Value begin, Value seen) {
    Variable top = b.variable(e.f(-1e30)), total = b.variable(e.f(0)), mean = b.variable(e.f(0));
    auto one = [&](Value j) {
      auto [s, d] = dots(k, v, keyRow(j));
      Value score = scoreOf(s).value, before = b.get(top), now = b.max(before, score);
      Value shrink = e.exp(b.sub(before, now)), p = e.exp(b.sub(score, now));
      b.set(top, now);
      b.set(total, b.fma(b.get(total), shrink, p));
      b.set(mean, b.fma(b.get(mean), shrink, b.mul(p, d)));
    };
    b.forRange(begin ? b.add(begin, lane) : lane, seen, e.u(kLanes), one, e.atMost(spec.capacity));
    auto sum = [&](Value x) { return e.reduce(scratch, x, [&](Value a, Value c) { return b.add(a, c); }); };
    Value largest = e.reduce(scratch, b.get(top), [&](Value x, Value y) { return b.max(x, y); });
    Value shrink = e.exp(b.sub(b.get(top), largest));
    Value inverse = b.div(e.f(1), b.max(sum(b.mul(b.get(total), shrink)), e.f(1e-30)));
    return {largest, inverse, b.mul(sum(b.mul(b.get(mean), shrink)), inverse)};
  }
};

struct KeyGrad : AttentionGrad {
  enum : uint32_t { dk = 5, dv = 6, lengths = 7 };
  Shared weights = e.shared(Builder::f32(), kLanes, "weights");
  Shared slopes = e.shared(Builder::f32(), kLanes, "slopes");

  void one(Value number) {
    Value key_head = b.div(number, capacity);
    Value first_head = spec.key_group == 1 ? key_head : b.mul(key_head, e.u(uint64_t(spec.key_group)));
    ofHead(first_head);
    key_both = key_head;
    Value j = b.mod(number, capacity), end = queries;
    if (spec.length) end = b.select(b.lt(j, length(lengths)), queries, e.u(0));
    if (spec.window) end = b.min(end, b.add(j, e.u(uint64_t(spec.window))));
    load(k, v, keyRow(j));
    std::vector<Variable> key_sums = zeros(), value_sums = zeros();
    auto block = [&](Value first) {
      Value t = b.add(first, lane);
      Variable weight = b.variable(e.f(0)), slope = b.variable(e.f(0));
      b.ifThen(b.lt(t, end), [&] {
        auto [s, d] = dots(q, gradient, queryRow(t));
        auto known = [&](uint32_t which) { return e.load(statistics, statistic(t, which), kFloat); };
        Value inverse = known(1), largest = known(0);
        const Score score = scoreOf(s);
        Value p = b.mul(e.exp(b.sub(score.value, largest)), inverse);
        b.set(weight, p);
        b.set(slope, slopeOf(score, p, b.sub(d, known(2))));
      });
      b.barrier(); // the previous block's weights and slopes have been read
      b.store(weights, lane, b.get(weight));
      b.store(slopes, lane, b.get(slope));
      b.barrier();
      Value count = b.min(e.u(kLanes), b.sub(end, first));
      auto row = [&](Value i) { return queryRow(b.add(first, i)); };
      accumulate(key_sums, slopes, count, q, row);
      accumulate(value_sums, weights, count, gradient, row);
    };
    auto queriesOfHead = [&] {
      b.forRange(spec.causal ? j : e.u(0), end, e.u(kLanes), block, e.atMost(spec.queries));
    };
    if (spec.key_group == 1) {
      queriesOfHead();
    } else {
      b.forRange(e.u(0), e.u(uint64_t(spec.key_group)), e.u(1), [&](Value i) {
        both = b.add(first_head, i), head = b.mod(both, heads);
        queriesOfHead();
      });
    }
    store(dk, keyRow(j), key_sums);
    store(dv, keyRow(j), value_sums);
  }
};

} // namespace

Kernel attentionQueryGradKernel(const AttentionGradSpec &spec, const Operands &where) {
  Emitter e(spec.key("attention_query_grad", Walk::all), 6u + spec.length, kLanes, where);
  if (e.texelWords(0)) e.require("cpu");
  QueryGrad body{{e, spec}};
  e.forGroups(e.extent(spec.batch * spec.heads * spec.queries), [&](Value item) { body.one(item); });
  return e.finish();
}

Kernel attentionKeyGradKernel(const AttentionGradSpec &spec, const Operands &where) {
  Emitter e(spec.key("attention_key_grad", Walk::all), 7u + spec.length, kLanes, where);
  if (e.texelWords(0)) e.require("cpu");
  KeyGrad body{{e, spec}};
  e.forGroups(e.extent(spec.batch * spec.keyHeads() * spec.capacity), [&](Value item) { body.one(item); });
  return e.finish();
}

} // namespace linnet::vulkan
