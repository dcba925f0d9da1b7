// The rule of linnet.argmax: the lowest index of the largest element. NaN is never the largest. If no element is above
// -infinity, the result is 0.
#pragma once
#include "backends/vulkan/emitter.h"

namespace linnet::vulkan {

struct Best {
  Emitter &e;
  Variable top = e.b.variable(e.f(-HUGE_VAL)), place = e.b.variable(e.u(0));

  /// Adds an element. The order of elements does not matter.
  void take(Value x, Value at) {
    Builder &b = e.b;
    Value same = b.logicalAnd(b.eq(b.get(top), x), b.lt(at, b.get(place)));
    Value better = b.logicalOr(b.lt(b.get(top), x), same);
    b.set(place, b.select(better, at, b.get(place)));
    b.set(top, b.select(better, x, b.get(top)));
  }
  /// Finds the best of the workgroup; all invocations receive it. The arrays have one element for each invocation, f32
  /// and u32. All invocations must call this together.
  void meetGroup(Shared tops, Shared places) {
    Builder &b = e.b;
    Value mine = b.get(top);
    Value largest = e.reduce(tops, mine, [&](Value x, Value y) { return b.max(x, y); });
    Value candidate = b.select(b.eq(mine, largest), b.get(place), e.u(~0u));
    b.set(place, e.reduce(places, candidate, [&](Value x, Value y) { return b.min(x, y); }));
    b.set(top, largest);
  }
  /// Finds the best of the subgroup; all its invocations receive it.
  void meetSubgroup() {
    Builder &b = e.b;
    Value mine = b.get(top), largest = b.subgroupReduce(spirv::SubgroupOp::max, mine);
    Value candidate = b.select(b.eq(mine, largest), b.get(place), e.u(~0u));
    b.set(place, b.subgroupReduce(spirv::SubgroupOp::min, candidate));
    b.set(top, largest);
  }

  /// Words of a stored candidate in an operand: the element and its index.
  static constexpr uint32_t kWords = 2;
  void store(uint32_t operand, Value number) {
    Builder &b = e.b;
    Value at = b.mul(number, e.u(kWords));
    e.store(operand, at, Type::f32, b.get(top));
    e.store(operand, b.add(at, e.u(1)), Type::i32, b.bitcast(b.get(place), Builder::i32()));
  }
  void takeFrom(uint32_t operand, Value number) {
    Builder &b = e.b;
    Value at = b.mul(number, e.u(kWords));
    take(e.load(operand, at, Type::f32),
         b.bitcast(e.load(operand, b.add(at, e.u(1)), Type::i32), Builder::u32()));
  }
};

} // namespace linnet::vulkan
