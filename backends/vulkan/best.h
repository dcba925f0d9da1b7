// linnet.argmax's rule: the lowest place of the largest number; NaN is none. 0 where no number is above
// -infinity.
#pragma once
#include "backends/vulkan/emitter.h"

namespace linnet::vulkan {

struct Best {
  Emitter &e;
  Variable top = e.b.variable(e.f(-HUGE_VAL)), place = e.b.variable(e.u(0));

  /// Numbers come in any order.
  void take(Value x, Value at) {
    Builder &b = e.b;
    Value same = b.logicalAnd(b.eq(b.get(top), x), b.lt(at, b.get(place)));
    Value better = b.logicalOr(b.lt(b.get(top), x), same);
    b.set(place, b.select(better, at, b.get(place)));
    b.set(top, b.select(better, x, b.get(top)));
  }
  /// The workgroup's, known to all of it. The arrays hold an element an invocation, f32 and u32; all
  /// invocations get here together.
  void meetGroup(Shared tops, Shared places) {
    Builder &b = e.b;
    Value mine = b.get(top);
    Value largest = e.reduce(tops, mine, [&](Value x, Value y) { return b.max(x, y); });
    Value candidate = b.select(b.eq(mine, largest), b.get(place), e.u(~0u));
    b.set(place, e.reduce(places, candidate, [&](Value x, Value y) { return b.min(x, y); }));
    b.set(top, largest);
  }
  /// This subgroup's, known to all of it.
  void meetSubgroup() {
    Builder &b = e.b;
    Value mine = b.get(top), largest = b.subgroupReduce(spirv::SubgroupOp::max, mine);
    Value candidate = b.select(b.eq(mine, largest), b.get(place), e.u(~0u));
    b.set(place, b.subgroupReduce(spirv::SubgroupOp::min, candidate));
    b.set(top, largest);
  }

  /// Two words of an operand: the number and its place.
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
