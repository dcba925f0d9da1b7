// The logits of a row as keys: u32 numbers in the same order. If few keys can be among the largest k, only these are
// kept, in a list in shared memory.
#pragma once
#include "backends/vulkan/kernels.h"
#include "backends/vulkan/ops/wide.h"

namespace linnet::vulkan {

class Candidates {
public:
  static constexpr uint32_t kListed = 512;
  static constexpr uint32_t kLanes = 128;
  static constexpr uint32_t kMinusInfinity = ~0xff800000u, kInfinity = 0x7f800000u | (1u << 31);

  Candidates(Emitter &e, const SampleSpec &spec, uint32_t operand)
      : e(e), b(e.b), type(spec.type), operand(operand), keys(e.shared(Builder::u32(), kListed, "keys")),
        places(e.shared(Builder::u32(), kListed, "places")), columns(e.extent(spec.columns)),
        lane(b.localId(0)), all(spec.columns), size(b.variable(columns)), listed(b.variable(e.u(0))) {}

  void begin(Value row) {
    base = b.mul(row, columns);
    b.set(size, columns);
    b.set(listed, e.u(0));
  }

  /// A key that is larger for a larger x, equal for both zeros, and 0 for NaN.
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

  using Body = std::function<void(Value key, Value number)>;
  /// Calls body for all candidates. Adjacent invocations get adjacent candidates. Calls with key 0 are for no
  /// candidate.
  void forAll(const Body &body) { forAll(all, body); }
  /// The same if the candidates are known to be listed.
  void forListed(const Body &body) { forAll(kListed, body); }
  /// Calls body for the invocation's consecutive segment of candidates, in the row's order.
  void forSegment(const Body &body) {
    Value part = b.div(b.add(b.get(size), e.u(kLanes - 1)), e.u(kLanes));
    Value begin = b.mul(lane, part), end = b.min(b.add(begin, part), b.get(size));
    b.forRange(
        begin, end, e.u(kAtOnce), [&](Value first) { some(first, 1, end, body); },
        e.atMost((all.factor + kLanes - 1) / kLanes));
  }
  /// The column of candidate `number`.
  Value placeOf(Value number) {
    return b.select(isListed(), b.load(places, b.min(number, e.u(kListed - 1))), number);
  }
  Value count() { return b.get(size); }
  /// The key of candidate `number`, which must exist and be listed.
  Value keyAt(Value number) { return b.load(keys, number); }
  Value isListed() { return b.eq(b.get(listed), e.u(1)); }

  /// Drops keys below `least` if at most kListed remain. Otherwise keeps all candidates. WideScan uses `low` and
  /// `high`.
  void narrow(Value least, Shared low, Shared high) {
    Variable mine = b.variable(e.u(0));
    forSegment([&](Value key, Value) {
      b.set(mine, b.add(b.get(mine), b.select(b.le(least, key), e.u(1), e.u(0))));
    });
    const WideScan scan(e, low, high, {b.get(mine), e.u(0)});
    b.ifThen(b.le(scan.total.low, e.u(kListed)), [&] {
      Variable next = b.variable(scan.before.low);
      forSegment([&](Value key, Value number) {
        b.ifThen(b.le(least, key), [&] {
          b.store(keys, b.get(next), key);
          b.store(places, b.get(next), number);
          b.set(next, b.add(b.get(next), e.u(1)));
        });
      });
      b.set(size, scan.total.low);
      b.set(listed, e.u(1));
      b.barrier();
    });
  }

private:
  static constexpr uint32_t kAtOnce = 4;

  void forAll(const Extent &most, const Body &body) {
    b.forRange(
        lane, b.get(size), e.u(kAtOnce * kLanes),
        [&](Value first) { some(first, kLanes, b.get(size), body); }, e.atMost(most));
  }
  // Handles candidates first + j * step below `end`, j < kAtOnce. Loads them all before the first call of body.
  void some(Value first, uint32_t step, Value end, const Body &body) {
    auto at = [&](uint32_t j) { return b.add(first, e.u(j * step)); };
    b.ifElse(
        isListed(),
        [&] {
          for (uint32_t j = 0; j < kAtOnce; ++j)
            b.store(loaded, e.u(j), b.load(keys, b.min(at(j), e.u(kListed - 1))));
        },
        [&] {
          for (uint32_t j = 0; j < kAtOnce; ++j) {
            Value inside = b.add(base, b.min(at(j), b.sub(columns, e.u(1))));
            b.store(loaded, e.u(j), keyOf(e.load(operand, inside, type)));
          }
        });
    b.forRange(e.u(0), e.u(kAtOnce), e.u(1), [&](Value j) {
      Value number = b.add(first, b.mul(j, e.u(step)));
      body(b.select(b.lt(number, end), b.load(loaded, j), e.u(0)), number);
    });
  }

  Emitter &e;
  Builder &b;
  const Type type;
  const uint32_t operand;
  Shared keys, places;
  Value columns, lane, base;
  const Extent all; ///< must be static
  Variable size, listed;
  spirv::Private loaded = b.privateArray(Builder::u32(), kAtOnce);
};

} // namespace linnet::vulkan
