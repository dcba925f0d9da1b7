// Kernels whose unit is a row of the last dimension, and reductions along others.
#include "backends/vulkan/best.h"
#include "backends/vulkan/row.h"

#include <fmt/format.h>

#include <bit>

namespace linnet::vulkan {

Kernel layerNormKernel(const RowSpec &spec) {
  Emitter e(fmt::format("layer_norm_{}_gain_{}_r{}_c{}_eps{:x}", nameOf(spec.type), nameOf(spec.gain),
                        spec.rows.text(), spec.columns.text(), std::bit_cast<uint32_t>(spec.epsilon)),
            4, kItems, spec.where);
  Builder &b = e.b;
  Row row{e, spec};
  row.forRows([&](Value) {
    const Row::Moments moments = row.moments();
    row.forColumns([&](Value c) {
      Value normal = b.mul(b.sub(row.x(c), moments.mean), moments.inverse);
      e.store(3, b.add(row.base, c), spec.type,
              b.fma(normal, e.load(1, c, spec.gain), e.load(2, c, spec.gain)));
    });
  });
  return e.finish();
}

Kernel softmaxKernel(const RowSpec &spec) {
  Emitter e(fmt::format("softmax_{}_r{}_c{}", nameOf(spec.type), spec.rows.text(), spec.columns.text()), 2,
            kItems, spec.where);
  Builder &b = e.b;
  Row row{e, spec};
  row.forRows([&](Value) {
    Value largest = row.largest();
    Value total = row.sum([&](Value c) { return e.exp(b.sub(row.x(c), largest)); });
    row.forColumns([&](Value c) {
      e.store(1, b.add(row.base, c), spec.type, b.div(e.exp(b.sub(row.x(c), largest)), total));
    });
  });
  return e.finish();
}

Kernel argmaxKernel(const RowSpec &spec) {
  Emitter e(fmt::format("argmax_{}_r{}_c{}", nameOf(spec.type), spec.rows.text(), spec.columns.text()), 2,
            kItems, spec.where);
  Builder &b = e.b;
  Row row{e, spec};
  Shared places = e.shared(Builder::u32(), kItems, "places");
  row.forRows([&](Value number) {
    Best best{e};
    row.forColumns([&](Value c) { best.take(row.x(c), c); });
    best.meetGroup(row.scratch, places);
    Value lowest = b.get(best.place);
    b.ifThen(b.eq(b.localId(0), e.u(0)),
             [&] { e.store(1, number, Type::i32, b.bitcast(lowest, Builder::i32())); });
  });
  return e.finish();
}

Kernel reduceKernel(const ReduceSpec &spec) {
  static const char *const kKinds[] = {"sum", "mean", "max"};
  Emitter e(fmt::format("reduce_{}_{}_o{}_r{}_i{}", kKinds[int(spec.kind)], nameOf(spec.type),
                        spec.outer.text(), spec.size.text(), spec.inner.text()),
            2, kItems, spec.where);
  Builder &b = e.b;
  e.forItems(spec.outer * spec.inner, [&](Value i) {
    Value inner = e.extent(spec.inner), size = e.extent(spec.size);
    Value first = b.add(b.mul(b.div(i, inner), b.mul(size, inner)), b.mod(i, inner));
    const bool max = spec.kind == Reduction::max;
    Variable sum = b.variable(e.f(max ? -HUGE_VAL : 0));
    b.forRange(e.u(0), size, e.u(1), [&](Value j) {
      Value x = e.load(0, b.add(first, b.mul(j, inner)), spec.type);
      b.set(sum, max ? e.maximum(b.get(sum), x) : b.add(b.get(sum), x));
    });
    Value result = b.get(sum);
    if (spec.kind == Reduction::mean) result = b.div(result, b.convert(size, Builder::f32()));
    e.store(1, i, spec.type, result);
  });
  return e.finish();
}

Kernel poolKernel(const PoolSpec &spec) {
  static const char *const kModes[] = {"last", "first", "mean"};
  Emitter e(fmt::format("pool_{}_{}_b{}_t{}_c{}", kModes[int(spec.mode)], nameOf(spec.type),
                        spec.batch.text(), spec.positions.text(), spec.columns.text()),
            3, kItems, spec.where);
  Builder &b = e.b;
  e.forItems(spec.batch * spec.columns, [&](Value i) {
    Value columns = e.extent(spec.columns), positions = e.extent(spec.positions);
    Value sequence = b.div(i, columns), c = b.mod(i, columns);
    // A length outside [1, T] must not lead out of the tensor.
    Value length = b.bitcast(e.load(1, sequence, Type::i32), Builder::u32());
    length = b.max(b.min(length, positions), e.u(1));
    auto x = [&](Value t) {
      return e.load(0, b.add(b.mul(b.add(b.mul(sequence, positions), t), columns), c), spec.type);
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
    e.store(2, i, spec.type, result);
  });
  return e.finish();
}

} // namespace linnet::vulkan
