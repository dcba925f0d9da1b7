// The parts that kernels over rows of the last dimension share. A workgroup handles one row at a time.
#pragma once
#include "backends/vulkan/emitter.h"
#include "backends/vulkan/kernels.h"

namespace linnet::vulkan {

/// x is operand 0.
struct Row {
  Emitter &e;
  const RowSpec &spec;
  Shared scratch = e.shared(Builder::f32(), kItems, "scratch");
  Value columns = e.extent(spec.columns);
  Value base = {};

  void forColumns(const std::function<void(Value)> &body) {
    e.b.forRange(e.b.localId(0), columns, e.u(kItems), body);
  }
  Value x(Value c) { return e.load(0, e.b.add(base, c), spec.type); }
  Value sum(const std::function<Value(Value)> &term) {
    Variable total = e.b.variable(e.f(0));
    forColumns([&](Value c) { e.b.set(total, e.b.add(e.b.get(total), term(c))); });
    return e.reduce(scratch, e.b.get(total), [&](Value a, Value b) { return e.b.add(a, b); });
  }
  Value mean(const std::function<Value(Value)> &term) {
    return e.b.div(sum(term), e.b.convert(columns, Builder::f32()));
  }
  struct Moments {
    Value mean, inverse; ///< inverse = 1 / sqrt(variance + epsilon)
  };
  Moments moments(float epsilon) {
    Value average = mean([&](Value c) { return x(c); });
    Value variance = mean([&](Value c) {
      Value d = e.b.sub(x(c), average);
      return e.b.mul(d, d);
    });
    return {average, e.b.div(e.f(1), e.b.sqrt(e.b.add(variance, e.f(epsilon))))};
  }
  /// The moments of RMS norm, whose mean is 0.
  Moments rootMeanSquare(float epsilon) {
    Value square = mean([&](Value c) { return e.b.mul(x(c), x(c)); });
    return {e.f(0), e.b.div(e.f(1), e.b.sqrt(e.b.add(square, e.f(epsilon))))};
  }
  Value largest() {
    Variable top = e.b.variable(e.f(-HUGE_VAL));
    forColumns([&](Value c) { e.b.set(top, e.b.max(e.b.get(top), x(c))); });
    return e.reduce(scratch, e.b.get(top), [&](Value a, Value b) { return e.b.max(a, b); });
  }
  void forRows(const std::function<void(Value row)> &body) {
    e.forGroups(e.extent(spec.rows), [&](Value row) {
      base = e.b.mul(row, columns);
      body(row);
    });
  }
};

} // namespace linnet::vulkan
