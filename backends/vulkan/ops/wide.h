// 64-bit unsigned arithmetic with pairs of 32-bit words, which every device supports.
#pragma once
#include "backends/vulkan/ops/philox.h"

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
  /// floor(x m / 2^24) for m < 2^24 and x < 2^56. An integer exceeds x m / 2^24 exactly if it exceeds this.
  Wide partOf(Wide x, Value m) const {
    const Wide lower = times(x.low, m), upper = times(x.high, m);
    auto joined = [&](Value high, Value low) {
      return e.b.bitOr(e.b.shiftLeft(high, e.u(8)), e.b.shiftRight(low, e.u(24)));
    };
    return plus({e.b.shiftLeft(upper.low, e.u(8)), joined(upper.high, upper.low)},
                {joined(lower.high, lower.low), e.b.shiftRight(lower.high, e.u(24))});
  }
};

/// Prefix sums over the invocations of a workgroup: `before` is the sum of the previous invocations, `total` the sum of
/// all. `low` and `high` have one more element than there are invocations. One invocation adds all: on drivers that run
/// on a CPU, several would repeat the work.
struct WideScan {
  Wide before, total;
  WideScan(Emitter &e, Shared low, Shared high, Wide mine) {
    Builder &b = e.b;
    const WideMath math{e};
    Value lane = b.localId(0), count = e.u(e.invocations());
    auto load = [&](Value i) { return Wide{b.load(low, i), b.load(high, i)}; };
    auto store = [&](Value i, Wide what) {
      b.store(low, i, what.low);
      b.store(high, i, what.high);
    };
    b.barrier(); // an earlier scan's result has been read
    store(lane, mine);
    b.barrier();
    b.ifThen(b.eq(lane, e.u(0)), [&] {
      WideVariable sum = math.variable(math.of(e.u(0)));
      b.forRange(e.u(0), count, e.u(1), [&](Value i) {
        const Wide here = load(i);
        store(i, math.get(sum));
        math.add(sum, here);
      });
      store(count, math.get(sum));
    });
    b.barrier();
    before = load(lane), total = load(count);
  }
};

} // namespace linnet::vulkan
