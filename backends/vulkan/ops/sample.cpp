// linnet.sample: draws tokens from logits. A workgroup handles one row.
//
// The k-th largest key and the edge of top-p are found four bits at a time. Each pass adds weights of the keys that
// begin with the digits found so far, one sum for each of the sixteen next digits. (For top-k a weight is 1.) Each
// invocation adds into its own column of shared memory: no atomics are needed, and every sum has a fixed order.
//
// For a small k, the k-th largest of the invocations' largest keys is a lower bound. Passes then read only the few keys
// above it.
//
// The weights that decide the token are rounded to multiples of 2^-31 of the largest. They are added as 64-bit
// integers, so every sum is exact in any order.
#include "backends/vulkan/candidates.h"

#include <fmt/format.h>

namespace linnet::vulkan {
namespace {

constexpr uint32_t kLanes = Candidates::kLanes, kBins = 16;
constexpr uint32_t kNone = 0xffffffffu; // no index
enum : uint32_t { kLogits, kTemperature, kTopK, kTopP, kSeed, kPosition, kCopy, kOut };

class Sampling {
public:
  explicit Sampling(const SampleSpec &spec)
      : spec(spec),
        e(fmt::format("sample_{}_r{}_c{}", nameOf(spec.type), spec.rows.text(), spec.columns.text()),
          kOut + 1, kLanes, spec.where),
        b(e.b), math{e}, slots(e.shared(Builder::f32(), kLanes * kBins, "slots")),
        bins(e.shared(Builder::f32(), kBins, "bins")), words(e.shared(Builder::u32(), kLanes, "words")),
        floats(e.shared(Builder::f32(), kLanes, "floats")), low(e.shared(Builder::u32(), kLanes + 1, "low")),
        high(e.shared(Builder::u32(), kLanes + 1, "high")), candidates(e, spec, kLogits), lane(b.localId(0)) {
  }

  Kernel kernel() {
    e.forGroups(e.extent(spec.rows), [&](Value number) {
      row = number;
      candidates.begin(row);
      sampleRow();
    });
    return e.finish();
  }

private:
  /// The part of the row that stays: keys above `cut`, and the keys equal to it except the last `gone` ones.
  struct Kept {
    Value cut, gone;
  };

  struct Top {
    /// index: the lowest index of the largest key; mine: this invocation's largest key; count: elements that are
    /// not NaN, as f32
    Value key, index, mine, count;
  };

  void sampleRow() {
    top = findTop();
    largest = candidates.floatOf(top.key);
    temperature = e.load(kTemperature, row, Type::f32);
    const Kept kept = keepTopP(keepTopK());
    Value drawn = pick(kept);
    Value infinite = b.select(b.eq(top.key, e.u(Candidates::kInfinity)), top.index, e.u(0));
    Value finite = b.logicalAnd(b.lt(e.u(Candidates::kMinusInfinity), top.key),
                                b.lt(top.key, e.u(Candidates::kInfinity)));
    Value token = b.select(b.eq(drawn, e.u(kNone)), top.index, drawn);
    b.ifThen(b.eq(lane, e.u(0)), [&] {
      e.store(kOut, row, Type::i32, b.bitcast(b.select(finite, token, infinite), Builder::i32()));
    });
  }

  Value weight(Value key) { return e.exp(b.div(b.sub(candidates.floatOf(key), largest), temperature)); }
  /// The weight in units of 2^-31.
  Value integerWeight(Value key) {
    return b.convert(b.roundEven(b.mul(weight(key), e.f(2147483648.0))), Builder::u32());
  }

  // --- the largest key

  Top findTop() {
    Variable key = b.variable(e.u(0)), index = b.variable(lane), count = b.variable(e.f(0));
    candidates.forAll([&](Value x, Value at) {
      Value better = b.lt(b.get(key), x);
      b.set(index, b.select(better, at, b.get(index)));
      b.set(key, b.select(better, x, b.get(key)));
      b.set(count, b.add(b.get(count), b.select(b.eq(x, e.u(0)), e.f(0), e.f(1))));
    });
    Value mine = b.get(key), place = b.get(index);
    Value top = e.reduce(words, mine, [&](Value x, Value y) { return b.max(x, y); });
    Value first = e.reduce(words, b.select(b.eq(mine, top), place, e.u(kNone)),
                           [&](Value x, Value y) { return b.min(x, y); });
    return {top, first, mine, sum(b.get(count))};
  }
  /// The k-th largest of the keys that the invocations pass. k <= kLanes.
  Value ofInvocations(Value mine, Value k) {
    b.barrier(); // an earlier reduction's result has been read
    b.store(words, lane, mine);
    b.barrier();
    Variable larger = b.variable(e.u(0));
    b.forRange(e.u(0), e.u(kLanes), e.u(1), [&](Value i) {
      Value other = b.load(words, i);
      Value before = b.logicalOr(b.lt(mine, other), b.logicalAnd(b.eq(mine, other), b.lt(i, lane)));
      b.set(larger, b.add(b.get(larger), b.select(before, e.u(1), e.u(0))));
    });
    b.barrier();
    b.ifThen(b.eq(b.add(b.get(larger), e.u(1)), k), [&] { b.store(words, e.u(0), mine); });
    b.barrier();
    return b.load(words, e.u(0));
  }
  Value sum(Value mine) {
    return e.reduce(floats, mine, [&](Value x, Value y) { return b.add(x, y); });
  }

  // --- thresholds

  using Weigh = std::function<Value(Value key)>;
  struct Edge {
    Value key, below; ///< below: the sum of the weights of all smaller keys
  };
  /// Returns the smallest key at which the sum of the weights of all keys from `least` to it exceeds `limit`. If none
  /// does, returns the largest key that has a weight.
  Edge findEdge(Value least, Value limit, const Weigh &weigh) {
    Variable key = b.variable(e.u(0)), below = b.variable(e.f(0));
    auto set = [&](const Edge &edge) {
      b.set(key, edge.key);
      b.set(below, edge.below);
    };
    b.ifElse(
        candidates.isListed(), [&] { set(edgeOfFew(least, limit, weigh)); },
        [&] { set(edgeByDigits(least, limit, weigh)); });
    return {b.get(key), b.get(below)};
  }
  /// Compares every listed key with every other one.
  Edge edgeOfFew(Value least, Value limit, const Weigh &weigh) {
    static_assert(Candidates::kListed <= kLanes * kBins);
    Shared weights = slots;
    b.barrier(); // an earlier edge or sum has been read
    candidates.forListed([&](Value key, Value number) {
      b.ifThen(b.lt(number, candidates.count()),
               [&] { b.store(weights, number, b.select(b.le(least, key), weigh(key), e.f(0))); });
    });
    b.ifThen(b.eq(lane, e.u(0)), [&] {
      b.store(words, e.u(0), top.key);
      b.store(floats, e.u(0), e.f(0));
    });
    b.barrier();
    candidates.forListed([&](Value key, Value number) {
      b.ifThen(b.le(least, key), [&] {
        Variable below = b.variable(e.f(0)), equal = b.variable(e.f(0)), before = b.variable(e.u(0));
        auto beside = [&](Value i) {
          Value other = candidates.keyAt(i), weight = b.load(weights, i), same = b.eq(other, key);
          b.set(below, b.add(b.get(below), b.select(b.lt(other, key), weight, e.f(0))));
          b.set(equal, b.add(b.get(equal), b.select(same, weight, e.f(0))));
          Value twin = b.logicalAnd(same, b.lt(i, number));
          b.set(before, b.select(twin, e.u(1), b.get(before)));
        };
        b.forRange(e.u(0), candidates.count(), e.u(1), beside, e.atMost(Candidates::kListed));
        Value edge = b.logicalAnd(b.le(b.get(below), limit), b.lt(limit, b.add(b.get(below), b.get(equal))));
        b.ifThen(b.logicalAnd(edge, b.eq(b.get(before), e.u(0))), [&] {
          b.store(words, e.u(0), key);
          b.store(floats, e.u(0), b.get(below));
        });
      });
    });
    b.barrier();
    return {b.load(words, e.u(0)), b.load(floats, e.u(0))};
  }
  Edge edgeByDigits(Value least, Value limit, const Weigh &weigh) {
    Variable found = b.variable(e.u(0)), known = b.variable(e.u(0)), below = b.variable(e.f(0));
    b.forRange(e.u(0), e.u(8), e.u(1), [&](Value pass) {
      Value shift = b.sub(e.u(28), b.mul(pass, e.u(4)));
      sumDigits(shift, weigh, [&](Value key) {
        Value begins = b.eq(b.bitAnd(b.bitXor(key, b.get(found)), b.get(known)), e.u(0));
        return b.logicalAnd(b.le(least, key), begins);
      });
      Variable digit = b.variable(e.u(0)), passed = b.variable(e.u(0));
      Variable running = b.variable(b.get(below));
      b.forRange(e.u(0), e.u(kBins), e.u(1), [&](Value bin) {
        Value before = b.get(running), here = b.load(bins, bin), after = b.add(before, here);
        Value take = b.logicalAnd(b.eq(b.get(passed), e.u(0)), b.lt(e.f(0), here));
        b.set(digit, b.select(take, bin, b.get(digit)));
        b.set(below, b.select(take, before, b.get(below)));
        b.set(passed, b.select(b.logicalAnd(take, b.lt(limit, after)), e.u(1), b.get(passed)));
        b.set(running, after);
      });
      b.set(found, b.bitOr(b.get(found), b.shiftLeft(b.get(digit), shift)));
      b.set(known, b.bitOr(b.get(known), b.shiftLeft(e.u(kBins - 1), shift)));
    });
    return {b.get(found), b.get(below)};
  }
  /// bins[d] = the sum of the weights of the keys for which `counts` is true and whose digit at `shift` is d.
  void sumDigits(Value shift, const Weigh &weigh, const std::function<Value(Value key)> &counts) {
    b.forRange(lane, e.u(kBins * kLanes), e.u(kLanes), [&](Value i) { b.store(slots, i, e.f(0)); });
    candidates.forAll([&](Value key, Value) {
      b.ifThen(counts(key), [&] {
        Value digit = b.bitAnd(b.shiftRight(key, shift), e.u(kBins - 1));
        Value slot = b.add(b.mul(digit, e.u(kLanes)), lane);
        b.store(slots, slot, b.add(b.load(slots, slot), weigh(key)));
      });
    });
    b.barrier();
    b.ifThen(b.lt(lane, e.u(kBins)), [&] {
      Variable total = b.variable(e.f(0));
      b.forRange(e.u(0), e.u(kLanes), e.u(1), [&](Value i) { // lanes read different banks
        Value column = b.bitAnd(b.add(i, lane), e.u(kLanes - 1));
        b.set(total, b.add(b.get(total), b.load(slots, b.add(b.mul(lane, e.u(kLanes)), column))));
      });
      b.store(bins, lane, b.get(total));
    });
    b.barrier();
  }

  /// Returns the least key that stays. The k-th largest of n keys is the first with more than n - k keys up to it.
  Value keepTopK() {
    Value k = e.load(kTopK, row, Type::i32), k_word = b.bitcast(k, Builder::u32());
    Variable least = b.variable(e.u(1));
    b.ifThen(b.logicalAnd(b.lt(b.constant(int32_t(0)), k), b.lt(k_word, candidates.count())), [&] {
      b.ifThen(b.le(k_word, e.u(kLanes)),
               [&] { candidates.narrow(b.max(ofInvocations(top.mine, k_word), e.u(1)), low, high); });
      Value count = b.select(candidates.isListed(), b.convert(candidates.count(), Builder::f32()), top.count);
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
      candidates.forAll([&](Value key, Value) {
        b.ifThen(b.le(least, key), [&] { b.set(mine, b.add(b.get(mine), weight(key))); });
      });
      Value limit = b.mul(b.sub(e.f(1), p), sum(b.get(mine)));
      const Edge edge = findEdge(least, limit, [&](Value key) { return weight(key); });
      Value equals = b.div(b.sub(limit, edge.below), weight(edge.key));
      equals = b.max(b.min(equals, e.f(double(kMostSampled))), e.f(0));
      b.set(cut, edge.key);
      b.set(gone, b.convert(b.floor(equals), Builder::u32()));
    });
    return {b.get(cut), b.get(gone)};
  }

  // --- drawing

  Value uniform24() {
    auto word = [&](uint32_t operand, Value i) {
      return b.bitcast(e.load(operand, i, Type::i32), Builder::u32());
    };
    Value drawn = philox(e, {word(kPosition, row), e.u(0), word(kCopy, row), e.u(0)},
                         {word(kSeed, e.u(0)), word(kSeed, e.u(1))});
    return b.shiftRight(drawn, e.u(8));
  }

  /// Keys equal to the cut: how many stay, and how many are before the invocation's segment.
  struct Equals {
    Value stay, before;
  };

  /// Returns the drawn index, or kNone if weights are NaN.
  Value pick(const Kept &kept) {
    Variable equal = b.variable(e.u(0));
    WideVariable sum = math.variable(math.of(e.u(0)));
    candidates.forSegment([&](Value key, Value) {
      b.set(equal, b.add(b.get(equal), b.select(b.eq(key, kept.cut), e.u(1), e.u(0))));
      b.ifThen(b.lt(kept.cut, key), [&] { math.add(sum, math.of(integerWeight(key))); });
    });
    const WideScan ranks(e, low, high, math.of(b.get(equal)));
    Value all = ranks.total.low, most_gone = b.sub(b.max(all, e.u(1)), e.u(1));
    const Equals equals = {b.sub(all, b.min(kept.gone, most_gone)), ranks.before.low};
    Value here = b.min(b.sub(b.max(equals.stay, equals.before), equals.before), b.get(equal));
    math.add(sum, math.times(here, integerWeight(kept.cut)));
    const WideScan sums(e, low, high, math.get(sum));
    const Wide limit = math.partOf(sums.total, uniform24()), after = math.plus(sums.before, math.get(sum));
    Variable found = b.variable(e.u(kNone));
    // The sum passes the limit in one invocation's segment.
    b.ifElse(
        math.less(limit, sums.before), [] {},
        [&] {
          b.ifThen(math.less(limit, after), [&] { b.set(found, walk(kept, equals, sums.before, limit)); });
        });
    return e.reduce(words, b.get(found), [&](Value x, Value y) { return b.min(x, y); });
  }
  Value walk(const Kept &kept, const Equals &equals, Wide before, Wide limit) {
    Variable found = b.variable(e.u(kNone)), rank = b.variable(equals.before);
    WideVariable sum = math.variable(before);
    candidates.forSegment([&](Value key, Value number) {
      Value equal = b.eq(key, kept.cut);
      Value stays = b.logicalOr(b.lt(kept.cut, key), b.logicalAnd(equal, b.lt(b.get(rank), equals.stay)));
      b.set(rank, b.add(b.get(rank), b.select(equal, e.u(1), e.u(0))));
      b.ifThen(stays, [&] {
        math.add(sum, math.of(integerWeight(key)));
        Value first = b.logicalAnd(b.eq(b.get(found), e.u(kNone)), math.less(limit, math.get(sum)));
        b.set(found, b.select(first, candidates.placeOf(number), b.get(found)));
      });
    });
    return b.get(found);
  }

  const SampleSpec &spec;
  Emitter e;
  Builder &b;
  const WideMath math;
  Shared slots, bins, words, floats, low, high;
  Candidates candidates;
  Value lane, row, largest, temperature;
  Top top;
};

} // namespace

Kernel sampleKernel(const SampleSpec &spec) { return Sampling(spec).kernel(); }

} // namespace linnet::vulkan
