// Kernels over rows of the last dimension, and reductions along other dimensions.
#include "backends/vulkan/ops/best.h"
#include "backends/vulkan/ops/row.h"

namespace linnet::vulkan {

template <> void emit(Emitter &e, const NormSpec &spec) {
  using Operand = NormSpec::Operand;
  Builder &b = e.b;
  Row row{e, spec.x};
  row.forRows([&](Value) {
    const Row::Moments moments = spec.rms ? row.rootMeanSquare(spec.epsilon) : row.moments(spec.epsilon);
    row.forColumns([&](Value c) {
      Value gain = e.load(Operand::gain, c, spec.gain);
      Value result = spec.rms ? b.mul(b.mul(row.x(c), moments.inverse), gain)
                              : b.fma(b.mul(b.sub(row.x(c), moments.mean), moments.inverse), gain,
                                      e.load(Operand::bias, c, spec.gain));
      e.store(positionOf(spec, Operand::out), b.add(row.base, c), spec.x.type, result);
    });
  });
}
template <> Work workOf(const NormSpec &spec) { return {.items = spec.rows(), .per = 1}; }

template <> void emit(Emitter &e, const SoftmaxSpec &spec) {
  Builder &b = e.b;
  Row row{e, spec.x};
  row.forRows([&](Value) {
    Value largest = row.largest();
    Value total = row.sum([&](Value c) { return e.exp(b.sub(row.x(c), largest)); });
    row.forColumns([&](Value c) {
      e.store(SoftmaxSpec::Operand::out, b.add(row.base, c), spec.x.type,
              b.div(e.exp(b.sub(row.x(c), largest)), total));
    });
  });
}
template <> Work workOf(const SoftmaxSpec &spec) { return {.items = spec.x.rows, .per = 1}; }

template <> void emit(Emitter &e, const ArgmaxSpec &spec) {
  Builder &b = e.b;
  Row row{e, spec.x};
  Shared places = e.shared(Builder::u32(), kItems, "places");
  row.forRows([&](Value number) {
    Best best{e};
    row.forColumns([&](Value c) { best.take(row.x(c), c); });
    best.meetGroup(row.scratch, places);
    Value lowest = b.get(best.place);
    b.ifThen(b.eq(b.localId(0), e.u(0)), [&] {
      e.store(ArgmaxSpec::Operand::out, number, Type::i32, b.bitcast(lowest, Builder::i32()));
    });
  });
}
template <> Work workOf(const ArgmaxSpec &spec) { return {.items = spec.x.rows, .per = 1}; }

template <> void emit(Emitter &e, const ReduceSpec &spec) {
  Builder &b = e.b;
  e.forItems(spec.elements(), [&](Value i) {
    Value inner = e.extent(spec.inner), size = e.extent(spec.size);
    Value first = b.add(b.mul(b.div(i, inner), b.mul(size, inner)), b.mod(i, inner));
    const bool max = spec.kind == Reduction::max;
    Variable sum = b.variable(e.f(max ? -HUGE_VAL : 0));
    b.forRange(e.u(0), size, e.u(1), [&](Value j) {
      Value x = e.load(ReduceSpec::Operand::x, b.add(first, b.mul(j, inner)), spec.type);
      b.set(sum, max ? e.maximum(b.get(sum), x) : b.add(b.get(sum), x));
    });
    Value result = b.get(sum);
    if (spec.kind == Reduction::mean) result = b.div(result, b.convert(size, Builder::f32()));
    e.store(ReduceSpec::Operand::out, i, spec.type, result);
  });
}
template <> Work workOf(const ReduceSpec &spec) { return {.items = spec.elements()}; }

template <> void emit(Emitter &e, const PoolSpec &spec) {
  using Operand = PoolSpec::Operand;
  Builder &b = e.b;
  e.forItems(spec.elements(), [&](Value i) {
    Value columns = e.extent(spec.columns), positions = e.extent(spec.positions);
    Value sequence = b.div(i, columns), c = b.mod(i, columns);
    // A length outside [1, T] must not lead to reads outside the tensor.
    Value length = b.bitcast(e.load(Operand::length, sequence, Type::i32), Builder::u32());
    length = b.max(b.min(length, positions), e.u(1));
    auto x = [&](Value t) {
      return e.load(Operand::x, b.add(b.mul(b.add(b.mul(sequence, positions), t), columns), c), spec.type);
    };
    Value result;
    if (spec.mode == Pooling::mean) {
      Variable sum = b.variable(e.f(0));
      b.forRange(
          e.u(0), length, e.u(1), [&](Value t) { b.set(sum, b.add(b.get(sum), x(t))); },
          e.atMost(spec.positions));
      result = b.div(b.get(sum), b.convert(length, Builder::f32()));
    } else {
      result = x(spec.mode == Pooling::last ? b.sub(length, e.u(1)) : e.u(0));
    }
    e.store(Operand::out, i, spec.type, result);
  });
}
template <> Work workOf(const PoolSpec &spec) { return {.items = spec.elements()}; }

template SizedKernel kernelOf(const NormSpec &, const Operands &);
template SizedKernel kernelOf(const SoftmaxSpec &, const Operands &);
template SizedKernel kernelOf(const ArgmaxSpec &, const Operands &);
template SizedKernel kernelOf(const ReduceSpec &, const Operands &);
template SizedKernel kernelOf(const PoolSpec &, const Operands &);

} // namespace linnet::vulkan
