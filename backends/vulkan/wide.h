// 64-bit unsigned arithmetic in two words: what every device can do.
#pragma once
#include "backends/vulkan/philox.h"

namespace linnet::vulkan {

struct Wide {
  Value low, high;
};
struct WideVariable {
  Variable low, high;
};

struct WideMath {
  Emitter &e;

  Wide of(Value word) const { return {word, e.u(0)}; }
  WideVariable variable(Wide initial) const {
    return {e.b.variable(initial.low), e.b.variable(initial.high)};
  }
  Wide get(WideVariable variable) const { return {e.b.get(variable.low), e.b.get(variable.high)}; }
  void set(WideVariable to, Wide what) const {
    e.b.set(to.low, what.low);
    e.b.set(to.high, what.high);
  }
  void add(WideVariable to, Wide what) const { set(to, plus(get(to), what)); }
  Wide plus(Wide x, Wide y) const {
    Value sum = e.b.add(x.low, y.low);
    Value carry = e.b.select(e.b.lt(sum, x.low), e.u(1), e.u(0));
    return {sum, e.b.add(e.b.add(x.high, y.high), carry)};
  }
  Wide times(Value x, Value y) const { return {e.b.mul(x, y), highProduct(e, x, y)}; }
  Value less(Wide x, Wide y) const {
    return e.b.logicalOr(e.b.lt(x.high, y.high),
                         e.b.logicalAnd(e.b.eq(x.high, y.high), e.b.lt(x.low, y.low)));
  }
  Wide select(Value condition, Wide x, Wide y) const {
    return {e.b.select(condition, x.low, y.low), e.b.select(condition, x.high, y.high)};
  }
  /// floor(x m / 2^24) for m < 2^24, x < 2^56: an integer exceeds x m / 2^24 where it exceeds this.
  Wide partOf(Wide x, Value m) const {
    const Wide lower = times(x.low, m), upper = times(x.high, m);
    auto joined = [&](Value high, Value low) {
      return e.b.bitOr(e.b.shiftLeft(high, e.u(8)), e.b.shiftRight(low, e.u(24)));
    };
    return plus({e.b.shiftLeft(upper.low, e.u(8)), joined(upper.high, upper.low)},
                {joined(lower.high, lower.low), e.b.shiftRight(lower.high, e.u(24))});
  }
};

/// Sums over what the workgroup's invocations have: of those before this one, and of all. `low` and `high`
/// hold one element an invocation.
struct WideScan {
  Wide before, total;
  WideScan(Emitter &e, Shared low, Shared high, Wide mine) {
    Builder &b = e.b;
    const WideMath math{e};
    Value lane = b.localId(0);
    b.barrier(); // an earlier scan may still be read
    b.store(low, lane, mine.low);
    b.store(high, lane, mine.high);
    b.barrier();
    WideVariable sum = math.variable(math.of(e.u(0))), first = math.variable(math.of(e.u(0)));
    b.forRange(e.u(0), e.u(e.invocations()), e.u(1), [&](Value i) {
      math.set(first, math.select(b.eq(i, lane), math.get(sum), math.get(first)));
      math.add(sum, {b.load(low, i), b.load(high, i)});
    });
    before = math.get(first), total = math.get(sum);
  }
};

} // namespace linnet::vulkan
