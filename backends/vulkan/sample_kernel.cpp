// Tokens drawn from logits: linnet.sample, a workgroup a row.
//
// Logits are compared as unsigned keys of the same order, so that the k-th largest and the edge of top-p are
// found four bits at a time: each pass sums, for each of sixteen digits, the weights of the keys that begin
// as found so far (for top-k a weight is 1). Each invocation sums into a column of its own of shared memory,
// so that no atomics are needed and a sum has one order. The weights that decide the token are rounded to
// multiples of 2^-31 of the largest and summed as 64-bit integers: whatever the order, every sum is exact.
#include "backends/vulkan/kernels.h"
#include "backends/vulkan/philox.h"

#include <fmt/format.h>

namespace linnet::vulkan {
namespace {

constexpr uint32_t kLanes = 128, kBins = 16, kAtOnce = 4;
constexpr uint32_t kNone = 0xffffffffu;                                                 // no index
constexpr uint32_t kMinusInfinity = ~0xff800000u, kInfinity = 0x7f800000u | (1u << 31); // keys
enum : uint32_t { kLogits, kTemperature, kTopK, kTopP, kSeed, kPosition, kCopy, kOut };

/// 64 bits in two words.
struct Wide {
  Value low, high;
};

class Sampling {
public:
  explicit Sampling(const SampleSpec &spec)
      : spec(spec),
        e(fmt::format("sample_{}_r{}_c{}", nameOf(spec.type), spec.rows.text(), spec.columns.text()),
          kOut + 1, kLanes, spec.where),
        b(e.b), slots(e.shared(Builder::f32(), kLanes * kBins, "slots")),
        bins(e.shared(Builder::f32(), kBins, "bins")), words(e.shared(Builder::u32(), kLanes, "words")),
        floats(e.shared(Builder::f32(), kLanes, "floats")), low(e.shared(Builder::u32(), kLanes, "low")),
        high(e.shared(Builder::u32(), kLanes, "high")) {}

  Kernel kernel() {
    columns = e.extent(spec.columns);
    lane = b.localId(0);
    e.forGroups(e.extent(spec.rows), [&](Value number) {
      row = number;
      base = b.mul(row, columns);
      sampleRow();
    });
    return e.finish();
  }

private:
  struct Element {
    Value x, key; ///< key 0: no candidate
  };
  /// What of the row stays: keys above `cut`, and of its equals all but the last `gone`.
  struct Kept {
    Value cut, gone;
  };

  void sampleRow() {
    const Top top = findTop();
    largest = floatOf(top.key);
    temperature = e.load(kTemperature, row, Type::f32);
    const Kept kept = keepTopP(keepTopK(top.count));
    Value drawn = pick(kept);
    Value infinite = b.select(b.eq(top.key, e.u(kInfinity)), top.index, e.u(0));
    Value finite = b.logicalAnd(b.lt(e.u(kMinusInfinity), top.key), b.lt(top.key, e.u(kInfinity)));
    Value token = b.select(b.eq(drawn, e.u(kNone)), top.index, drawn);
    b.ifThen(b.eq(lane, e.u(0)), [&] {
      e.store(kOut, row, Type::i32, b.bitcast(b.select(finite, token, infinite), Builder::i32()));
    });
  }

  // --- elements

  /// Larger for what is larger, equal for both zeros; 0 for NaN.
  Value keyOf(Value x) {
    Value sign = e.u(1u << 31), bits = b.bitcast(x, Builder::u32());
    bits = b.select(b.eq(bits, sign), e.u(0), bits);
    Value key = b.select(b.le(sign, bits), b.bitNot(bits), b.bitOr(bits, sign));
    return b.select(b.lt(e.u(0x7f800000u), b.bitAnd(bits, e.u(0x7fffffffu))), e.u(0), key);
  }
  Value floatOf(Value key) {
    Value sign = e.u(1u << 31);
    return b.bitcast(b.select(b.le(sign, key), b.bitXor(key, sign), b.bitNot(key)), Builder::f32());
  }
  Value weight(Value x) { return e.exp(b.div(b.sub(x, largest), temperature)); }
  /// In units of 2^-31.
  Value integerWeight(Value x) {
    return b.convert(b.roundEven(b.mul(weight(x), e.f(2147483648.0))), Builder::u32());
  }
  /// The elements first + j step with a number below `end`, several loads at once. Others have the key 0.
  void some(Value first, uint32_t step, Value end, const std::function<void(Element, Value at)> &body) {
    Value at[kAtOnce];
    Element loaded[kAtOnce];
    for (uint32_t j = 0; j < kAtOnce; ++j) {
      at[j] = b.add(first, e.u(j * step));
      Value inside = b.min(at[j], b.sub(columns, e.u(1)));
      loaded[j].x = e.load(kLogits, b.add(base, inside), spec.type);
      loaded[j].key = b.select(b.lt(at[j], end), keyOf(loaded[j].x), e.u(0));
    }
    for (uint32_t j = 0; j < kAtOnce; ++j) body(loaded[j], at[j]);
  }
  /// All of the row, neighbours by neighbouring invocations.
  void forElements(const std::function<void(Element, Value at)> &body) {
    b.forRange(lane, columns, e.u(kAtOnce * kLanes),
               [&](Value first) { some(first, kLanes, columns, body); });
  }
  /// The invocation's own consecutive part, in order.
  void forSegment(const std::function<void(Element, Value at)> &body) {
    Value size = b.div(b.add(columns, e.u(kLanes - 1)), e.u(kLanes));
    Value begin = b.mul(lane, size), end = b.min(b.add(begin, size), columns);
    b.forRange(begin, end, e.u(kAtOnce), [&](Value first) { some(first, 1, end, body); });
  }

  // --- the largest

  struct Top {
    Value key, index, count; ///< the lowest of equals; count: of all that are no NaN, as f32
  };
  Top findTop() {
    Variable key = b.variable(e.u(0)), index = b.variable(lane), count = b.variable(e.f(0));
    forElements([&](Element x, Value at) {
      Value better = b.lt(b.get(key), x.key);
      b.set(index, b.select(better, at, b.get(index)));
      b.set(key, b.select(better, x.key, b.get(key)));
      b.set(count, b.add(b.get(count), b.select(b.eq(x.key, e.u(0)), e.f(0), e.f(1))));
    });
    Value mine = b.get(key), place = b.get(index);
    Value top = e.reduce(words, mine, [&](Value x, Value y) { return b.max(x, y); });
    Value first = e.reduce(words, b.select(b.eq(mine, top), place, e.u(kNone)),
                           [&](Value x, Value y) { return b.min(x, y); });
    return {top, first, sum(b.get(count))};
  }
  Value sum(Value mine) {
    return e.reduce(floats, mine, [&](Value x, Value y) { return b.add(x, y); });
  }

  // --- thresholds

  struct Edge {
    Value key, below; ///< below: the sum over all smaller keys
  };
  /// The smallest key at which the sum of the weights of all keys from `least` to it exceeds `limit`, or the
  /// largest that has a weight.
  Edge findEdge(Value least, Value limit, const std::function<Value(Value x)> &weigh) {
    Variable found = b.variable(e.u(0)), known = b.variable(e.u(0)), below = b.variable(e.f(0));
    b.forRange(e.u(0), e.u(8), e.u(1), [&](Value pass) {
      Value shift = b.sub(e.u(28), b.mul(pass, e.u(4)));
      sumDigits(shift, weigh, [&](Value key) {
        Value begins = b.eq(b.bitAnd(b.bitXor(key, b.get(found)), b.get(known)), e.u(0));
        return b.logicalAnd(b.le(least, key), begins);
      });
      Variable digit = b.variable(e.u(0)), passed = b.variable(e.u(0));
      Variable running = b.variable(b.get(below));
      for (uint32_t bin = 0; bin < kBins; ++bin) {
        Value before = b.get(running), here = b.load(bins, e.u(bin)), after = b.add(before, here);
        Value take = b.logicalAnd(b.eq(b.get(passed), e.u(0)), b.lt(e.f(0), here));
        b.set(digit, b.select(take, e.u(bin), b.get(digit)));
        b.set(below, b.select(take, before, b.get(below)));
        b.set(passed, b.select(b.logicalAnd(take, b.lt(limit, after)), e.u(1), b.get(passed)));
        b.set(running, after);
      }
      b.set(found, b.bitOr(b.get(found), b.shiftLeft(b.get(digit), shift)));
      b.set(known, b.bitOr(b.get(known), b.shiftLeft(e.u(kBins - 1), shift)));
    });
    return {b.get(found), b.get(below)};
  }
  /// bins[d] = the sum of the weights of the keys that count and have the digit d at `shift`.
  void sumDigits(Value shift, const std::function<Value(Value x)> &weigh,
                 const std::function<Value(Value key)> &counts) {
    for (uint32_t bin = 0; bin < kBins; ++bin) b.store(slots, b.add(lane, e.u(bin * kLanes)), e.f(0));
    forElements([&](Element x, Value) {
      b.ifThen(counts(x.key), [&] {
        Value digit = b.bitAnd(b.shiftRight(x.key, shift), e.u(kBins - 1));
        Value slot = b.add(b.mul(digit, e.u(kLanes)), lane);
        b.store(slots, slot, b.add(b.load(slots, slot), weigh(x.x)));
      });
    });
    b.barrier();
    b.ifThen(b.lt(lane, e.u(kBins)), [&] {
      Variable total = b.variable(e.f(0));
      b.forRange(e.u(0), e.u(kLanes), e.u(1), [&](Value i) { // each from another bank
        Value column = b.bitAnd(b.add(i, lane), e.u(kLanes - 1));
        b.set(total, b.add(b.get(total), b.load(slots, b.add(b.mul(lane, e.u(kLanes)), column))));
      });
      b.store(bins, lane, b.get(total));
    });
    b.barrier();
  }

  /// The key that candidates have at least. The k-th largest of n is the first with more than n - k up to it.
  Value keepTopK(Value count) {
    Value k = e.load(kTopK, row, Type::i32), k_word = b.bitcast(k, Builder::u32());
    Variable least = b.variable(e.u(1));
    b.ifThen(b.logicalAnd(b.lt(b.constant(int32_t(0)), k), b.lt(k_word, columns)), [&] {
      Value limit = b.max(b.sub(count, b.convert(k_word, Builder::f32())), e.f(0));
      b.set(least, findEdge(e.u(1), limit, [&](Value) { return e.f(1); }).key);
    });
    return b.get(least);
  }
  Kept keepTopP(Value least) {
    Value p = e.load(kTopP, row, Type::f32);
    Variable cut = b.variable(least), gone = b.variable(e.u(0));
    b.ifThen(b.lt(p, e.f(1)), [&] {
      Variable mine = b.variable(e.f(0));
      forElements([&](Element x, Value) {
        b.ifThen(b.le(least, x.key), [&] { b.set(mine, b.add(b.get(mine), weight(x.x))); });
      });
      Value limit = b.mul(b.sub(e.f(1), p), sum(b.get(mine)));
      const Edge edge = findEdge(least, limit, [&](Value x) { return weight(x); });
      Value equals = b.div(b.sub(limit, edge.below), weight(floatOf(edge.key)));
      equals = b.max(b.min(equals, e.f(double(kMostSampled))), e.f(0));
      b.set(cut, edge.key);
      b.set(gone, b.convert(b.floor(equals), Builder::u32()));
    });
    return {b.get(cut), b.get(gone)};
  }

  // --- the draw

  struct WideVariable {
    Variable low, high;
  };
  WideVariable wide(Wide initial) { return {b.variable(initial.low), b.variable(initial.high)}; }
  Wide get(WideVariable variable) { return {b.get(variable.low), b.get(variable.high)}; }
  void add(WideVariable to, Wide what) {
    const Wide sum = plus(get(to), what);
    b.set(to.low, sum.low);
    b.set(to.high, sum.high);
  }
  Wide plus(Wide x, Wide y) {
    Value sum = b.add(x.low, y.low);
    Value carry = b.select(b.lt(sum, x.low), e.u(1), e.u(0));
    return {sum, b.add(b.add(x.high, y.high), carry)};
  }
  Wide times(Value x, Value y) { return {b.mul(x, y), highProduct(e, x, y)}; }
  Value less(Wide x, Wide y) {
    return b.logicalOr(b.lt(x.high, y.high), b.logicalAnd(b.eq(x.high, y.high), b.lt(x.low, y.low)));
  }
  /// floor(total m / 2^24), m < 2^24: a sum exceeds u total where it exceeds this.
  Wide partOf(Wide total, Value m) {
    const Wide lower = times(total.low, m), upper = times(total.high, m);
    auto joined = [&](Value high, Value low) {
      return b.bitOr(b.shiftLeft(high, e.u(8)), b.shiftRight(low, e.u(24)));
    };
    return plus({b.shiftLeft(upper.low, e.u(8)), joined(upper.high, upper.low)},
                {joined(lower.high, lower.low), b.shiftRight(lower.high, e.u(24))});
  }
  Value uniform24() {
    auto word = [&](uint32_t operand, Value i) {
      return b.bitcast(e.load(operand, i, Type::i32), Builder::u32());
    };
    Value drawn = philox(e, {word(kPosition, row), e.u(0), word(kCopy, row), e.u(0)},
                         {word(kSeed, e.u(0)), word(kSeed, e.u(1))});
    return b.shiftRight(drawn, e.u(8));
  }

  /// Sums over what stands before the invocation's segment, and over all.
  struct Scan {
    Wide before, total;
  };
  Scan scan(Wide mine) {
    b.barrier(); // an earlier scan may still be read
    b.store(low, lane, mine.low);
    b.store(high, lane, mine.high);
    b.barrier();
    WideVariable sum = wide({e.u(0), e.u(0)}), before = wide({e.u(0), e.u(0)});
    b.forRange(e.u(0), e.u(kLanes), e.u(1), [&](Value i) {
      const Wide so_far = get(sum);
      b.set(before.low, b.select(b.eq(i, lane), so_far.low, b.get(before.low)));
      b.set(before.high, b.select(b.eq(i, lane), so_far.high, b.get(before.high)));
      add(sum, {b.load(low, i), b.load(high, i)});
    });
    return {get(before), get(sum)};
  }

  /// Of those equal to the cut: how many stay, and how many stand before the invocation's segment.
  struct Equals {
    Value stay, before;
  };

  /// The drawn index; kNone where weights are no numbers.
  Value pick(const Kept &kept) {
    Variable equal = b.variable(e.u(0));
    WideVariable sum = wide({e.u(0), e.u(0)});
    forSegment([&](Element x, Value) {
      b.set(equal, b.add(b.get(equal), b.select(b.eq(x.key, kept.cut), e.u(1), e.u(0))));
      b.ifThen(b.lt(kept.cut, x.key), [&] { add(sum, {integerWeight(x.x), e.u(0)}); });
    });
    const Scan scanned = scan({b.get(equal), e.u(0)});
    Value all = scanned.total.low;
    const Equals equals = {b.sub(all, b.min(kept.gone, b.sub(b.max(all, e.u(1)), e.u(1)))),
                           scanned.before.low};
    Value here = b.min(b.sub(b.max(equals.stay, equals.before), equals.before), b.get(equal));
    add(sum, times(here, integerWeight(floatOf(kept.cut))));
    const Scan sums = scan(get(sum));
    const Wide limit = partOf(sums.total, uniform24());
    Variable found = b.variable(e.u(kNone));
    // One segment holds the place where the sum passes the limit.
    b.ifThen(b.logicalAnd(no(less(limit, sums.before)), less(limit, plus(sums.before, get(sum)))),
             [&] { b.set(found, walk(kept, equals, sums.before, limit)); });
    return e.reduce(words, b.get(found), [&](Value x, Value y) { return b.min(x, y); });
  }
  Value walk(const Kept &kept, const Equals &equals, Wide before, Wide limit) {
    Variable found = b.variable(e.u(kNone)), rank = b.variable(equals.before);
    WideVariable sum = wide(before);
    forSegment([&](Element x, Value at) {
      Value equal = b.eq(x.key, kept.cut);
      Value stays = b.logicalOr(b.lt(kept.cut, x.key), b.logicalAnd(equal, b.lt(b.get(rank), equals.stay)));
      b.set(rank, b.add(b.get(rank), b.select(equal, e.u(1), e.u(0))));
      b.ifThen(stays, [&] {
        add(sum, {integerWeight(x.x), e.u(0)});
        Value first = b.logicalAnd(b.eq(b.get(found), e.u(kNone)), less(limit, get(sum)));
        b.set(found, b.select(first, at, b.get(found)));
      });
    });
    return b.get(found);
  }
  Value no(Value condition) { return b.eq(b.select(condition, e.u(1), e.u(0)), e.u(0)); }

  const SampleSpec &spec;
  Emitter e;
  Builder &b;
  Shared slots, bins, words, floats, low, high;
  Value columns, lane, row, base, largest, temperature;
};

} // namespace

Kernel sampleKernel(const SampleSpec &spec) { return Sampling(spec).kernel(); }

} // namespace linnet::vulkan
