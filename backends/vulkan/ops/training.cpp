// Kernels of training, except attention's. training.h says what each computes, docs/ir.md has the formulas.
#include "backends/vulkan/ops/training.h"
#include "backends/vulkan/ops/philox.h"
#include "backends/vulkan/ops/row.h"

#include <algorithm>

namespace linnet::vulkan {
namespace {

constexpr Type kFloat = Type::f32;

std::string named(std::string key, bool in_parts) { return std::move(key) + (in_parts ? "_parts" : ""); }

/// A row's label, clamped to the columns. `counts`: the label is not negative.
struct Label {
  Value index, counts;
  Label(Emitter &e, Value row, Value columns) {
    Builder &b = e.b;
    static_assert(int(CrossEntropySpec::Operand::labels) == int(CrossEntropyGradSpec::Operand::labels));
    Value label = e.load(CrossEntropySpec::Operand::labels, row, Type::i32), zero = b.constant(int32_t(0));
    counts = b.le(zero, label);
    index = b.min(b.bitcast(b.max(label, zero), Builder::u32()), b.sub(columns, e.u(1)));
  }
};

/// A row of logits, and the largest and the total of its softmax.
struct Logits {
  Emitter &e;
  Row row;
  Value largest, total;
  Logits(Emitter &e, const RowSpec &spec) : e(e), row{e, spec} {}
  void at(Value number) {
    row.base = e.b.mul(number, row.columns);
    largest = row.largest();
    total = row.sum([&](Value c) { return weight(c); });
  }
  Value weight(Value c) { return e.exp(e.b.sub(row.x(c), largest)); }
};

} // namespace

Kernel crossEntropyKernel(const CrossEntropySpec &spec, const Operands &where, bool in_parts) {
  Emitter e(named(spec.key(Walk::range), in_parts), operandsOf(spec), kItems, where);
  Builder &b = e.b;
  Logits logits(e, spec.logits);
  e.forUnitsByGroup(in_parts, [&](Emitter::Unit unit) {
    logits.at(unit.at);
    const Label label(e, unit.number, logits.row.columns);
    b.ifThen(b.eq(b.localId(0), e.u(0)), [&] {
      Value loss = b.add(e.log(logits.total), b.sub(logits.largest, logits.row.x(label.index)));
      e.store(CrossEntropySpec::Operand::out, unit.number, kFloat, b.select(label.counts, loss, e.f(0)));
    });
  });
  return e.finish();
}

Kernel crossEntropyGradKernel(const CrossEntropyGradSpec &spec, const Operands &where, bool in_parts) {
  using Operand = CrossEntropyGradSpec::Operand;
  Emitter e(named(spec.key(Walk::range), in_parts), operandsOf(spec), kItems, where);
  Builder &b = e.b;
  Logits logits(e, spec.logits);
  e.forUnitsByGroup(in_parts, [&](Emitter::Unit unit) {
    logits.at(unit.at);
    const Label label(e, unit.number, logits.row.columns);
    Value dy = b.select(label.counts, e.load(Operand::gradient, unit.number, kFloat), e.f(0));
    Value scale = b.div(dy, logits.total);
    logits.row.forColumns([&](Value c) {
      Value is_label = b.select(b.eq(c, label.index), dy, e.f(0));
      e.store(Operand::out, b.add(logits.row.base, c), kFloat,
              b.sub(b.mul(logits.weight(c), scale), is_label));
    });
  });
  return e.finish();
}

template <> void emit(Emitter &e, const LayerNormGradSpec &spec) {
  using Operand = LayerNormGradSpec::Operand;
  Builder &b = e.b;
  Row row{e, spec.x};
  row.forRows([&](Value) {
    const Row::Moments moments = row.moments(spec.epsilon);
    auto scaled = [&](Value c) {
      return b.mul(e.load(Operand::gradient, b.add(row.base, c), kFloat), e.load(Operand::gain, c, kFloat));
    };
    auto normal = [&](Value c) { return b.mul(b.sub(row.x(c), moments.mean), moments.inverse); };
    Value mean_g = row.mean(scaled);
    Value mean_gy = row.mean([&](Value c) { return b.mul(scaled(c), normal(c)); });
    row.forColumns([&](Value c) {
      Value rest = b.sub(b.sub(scaled(c), mean_g), b.mul(normal(c), mean_gy));
      e.store(Operand::out, b.add(row.base, c), kFloat, b.mul(rest, moments.inverse));
    });
  });
}
template <> Work workOf(const LayerNormGradSpec &spec) { return {.items = spec.rows(), .per = 1}; }

Kernel dropoutKernel(const DropoutSpec &spec, const Operands &where, bool in_parts) {
  using Operand = DropoutSpec::Operand;
  Emitter e(named(spec.key(), in_parts), operandsOf(spec), kItems, where);
  Builder &b = e.b;
  Value key0 = b.bitcast(e.load(Operand::key, e.u(0), Type::i32), Builder::u32());
  Value key1 = b.bitcast(e.load(Operand::key, e.u(1), Type::i32), Builder::u32());
  e.forUnits(in_parts, [&](Emitter::Unit unit) {
    Value drawn =
        b.shiftRight(philox(e, {unit.number, e.u(0), e.u(spec.stream), e.u(0)}, {key0, key1}), e.u(8));
    Value scaled = b.mul(e.load(Operand::x, unit.at, kFloat), e.f(spec.factor()));
    e.store(Operand::out, unit.at, kFloat, b.select(b.lt(drawn, e.u(spec.threshold())), e.f(0), scaled));
  });
  return e.finish();
}

/// A workgroup sums kSummedColumns columns, each in kSummedSlices sums that are added in order.
constexpr uint32_t kSummedColumns = 16, kSummedSlices = 8, kSummedLanes = kSummedColumns * kSummedSlices;

template <> void emit(Emitter &e, const SumRowsSpec &spec) {
  using Operand = SumRowsSpec::Operand;
  Builder &b = e.b;
  Shared sums = e.shared(Builder::f32(), kSummedLanes, "sums");
  Value lane = b.localId(0), wide = e.u(kSummedColumns);
  Value columns = e.extent(spec.columns), rows = e.extent(spec.rows);
  Value blocks = b.div(b.add(columns, e.u(kSummedColumns - 1)), wide);
  e.forGroups(blocks, [&](Value block) {
    Value c = b.add(b.mul(block, wide), b.mod(lane, wide)), inside = b.lt(c, columns);
    Variable sum = b.variable(e.f(0));
    b.ifThen(inside, [&] {
      b.forRange(b.div(lane, wide), rows, e.u(kSummedSlices), [&](Value r) {
        b.set(sum, b.add(b.get(sum), e.load(Operand::x, b.add(b.mul(r, columns), c), kFloat)));
      });
    });
    b.barrier(); // the previous block's sums have been read
    b.store(sums, lane, b.get(sum));
    b.barrier();
    b.ifThen(b.logicalAnd(inside, b.lt(lane, wide)), [&] {
      Value total = e.load(Operand::accumulator, c, kFloat);
      for (uint32_t slice = 0; slice < kSummedSlices; ++slice)
        total = b.add(total, b.load(sums, b.add(lane, e.u(slice * kSummedColumns))));
      e.store(Operand::out, c, kFloat, total);
    });
  });
}
template <> Work workOf(const SumRowsSpec &spec) {
  return {.items = spec.columns, .per = kSummedColumns, .invocations = kSummedLanes};
}

Kernel scatterAddKernel(const ScatterAddSpec &spec, const Operands &where, bool in_parts) {
  using Operand = ScatterAddSpec::Operand;
  Emitter e(named(spec.key(), in_parts), operandsOf(spec), kItems, where);
  Builder &b = e.b;
  Shared scratch = e.shared(Builder::u32(), kItems, "scratch");
  Value count = e.extent(spec.count), columns = e.extent(spec.columns), lane = b.localId(0);
  auto id = [&](Value i) {
    Value id = b.bitcast(b.max(e.load(Operand::ids, i, Type::i32), b.constant(int32_t(0))), Builder::u32());
    return b.min(id, e.u(uint64_t(spec.table_rows - 1)));
  };
  // An invocation reads all ids once for several of its columns. llvmpipe ends the loops of a kernel after 65,535 steps
  // in total, and a batch has thousands of ids.
  constexpr int64_t kMostOwn = 16;
  const int64_t needed = spec.columns.isStatic() ? (spec.columns.factor + kItems - 1) / kItems : kMostOwn;
  const auto own = uint32_t(std::min(needed, kMostOwn));
  auto addOwn = [&](Emitter::Unit row, Value first, Value begin, Value end) {
    Value base = b.mul(row.at, columns), last = b.sub(columns, e.u(1));
    auto column = [&](uint32_t j) { return b.add(first, e.u(j * kItems)); };
    std::vector<Variable> sums;
    // columns beyond the row are not read: another workgroup may write them
    for (uint32_t j = 0; j < own; ++j) {
      sums.push_back(b.variable(e.f(0)));
      b.ifThen(b.lt(column(j), columns),
               [&] { b.set(sums[j], e.load(Operand::table, b.add(base, column(j)), kFloat)); });
    }
    auto add = [&](Value i) {
      b.ifThen(b.eq(id(i), row.number), [&] {
        Value from = b.mul(i, columns);
        for (uint32_t j = 0; j < own; ++j)
          b.set(sums[j],
                b.add(b.get(sums[j]), e.load(Operand::rows, b.add(from, b.min(column(j), last)), kFloat)));
      });
    };
    b.forRange(begin, end, e.u(1), add, e.atMost(spec.count));
    for (uint32_t j = 0; j < own; ++j)
      b.ifThen(b.lt(column(j), columns),
               [&] { e.store(Operand::table, b.add(base, column(j)), kFloat, b.get(sums[j])); });
  };
  e.forUnitsByGroup(in_parts, [&](Emitter::Unit row) {
    // [begin, end) covers the entries with this row's id. Most rows of a table have none.
    Variable first = b.variable(count), last = b.variable(e.u(0));
    b.forRange(lane, count, e.u(kItems), [&](Value i) {
      b.ifThen(b.eq(id(i), row.number), [&] {
        b.set(first, b.min(b.get(first), i));
        b.set(last, b.add(i, e.u(1)));
      });
    });
    Value begin = e.reduce(scratch, b.get(first), [&](Value x, Value y) { return b.min(x, y); });
    Value end = e.reduce(scratch, b.get(last), [&](Value x, Value y) { return b.max(x, y); });
    b.ifThen(b.lt(begin, end), [&] {
      b.forRange(e.u(0), columns, e.u(kItems * own),
                 [&](Value first_column) { addOwn(row, b.add(first_column, lane), begin, end); });
    });
  });
  return e.finish();
}

template <> void emit(Emitter &e, const PoolGradSpec &spec) {
  using Operand = PoolGradSpec::Operand;
  const PoolSpec &pool = spec.pool;
  Builder &b = e.b;
  e.forItems(spec.elements(), [&](Value i) {
    Value columns = e.extent(pool.columns), positions = e.extent(pool.positions);
    Value c = b.mod(i, columns), row = b.div(i, columns);
    Value t = b.mod(row, positions), sequence = b.div(row, positions);
    Value length = b.bitcast(b.max(e.load(Operand::length, sequence, Type::i32), b.constant(int32_t(1))),
                             Builder::u32());
    length = b.min(length, positions);
    Value takes = pool.mode == Pooling::mean   ? b.lt(t, length)
                  : pool.mode == Pooling::last ? b.eq(t, b.sub(length, e.u(1)))
                                               : b.eq(t, e.u(0));
    Value dy = e.load(Operand::gradient, b.add(b.mul(sequence, columns), c), kFloat);
    if (pool.mode == Pooling::mean) dy = b.div(dy, b.convert(length, Builder::f32()));
    e.store(Operand::out, i, kFloat, b.select(takes, dy, e.f(0)));
  });
}
template <> Work workOf(const PoolGradSpec &spec) { return {.items = spec.elements()}; }

Kernel adamwKernel(const AdamWSpec &spec, const Operands &where, bool in_parts, bool in_place) {
  using Operand = AdamWSpec::Operand;
  const uint32_t results = in_place ? 0 : positionOf(spec, Operand::new_param);
  Emitter e(named(spec.key() + (in_place ? "_in_place" : ""), in_parts),
            positionOf(spec, in_place ? Operand::new_param : Operand::count), kItems, where);
  Builder &b = e.b;
  auto scalar = [&](Operand operand) { return e.load(operand, e.u(0), kFloat); };
  Value scale = scalar(Operand::scale), lr = b.mul(scalar(Operand::lr), e.f(spec.lr_scale));
  Value m_scale = scalar(Operand::m_scale), v_scale = scalar(Operand::v_scale);
  e.forUnits(in_parts, [&](Emitter::Unit unit) {
    auto load = [&](Operand operand) { return e.load(operand, unit.at, kFloat); };
    Value p = load(Operand::param), g = b.mul(load(Operand::gradient), scale);
    if (spec.has(Operand::start)) g = b.fma(e.f(spec.pull), b.sub(p, load(Operand::start)), g);
    Value m = b.fma(e.f(spec.beta1), load(Operand::m), b.mul(e.f(1 - double(spec.beta1)), g));
    Value v = b.fma(e.f(spec.beta2), load(Operand::v), b.mul(e.f(1 - double(spec.beta2)), b.mul(g, g)));
    Value root = b.add(b.sqrt(b.mul(v, v_scale)), e.f(spec.epsilon));
    Value step = b.fma(e.f(spec.decay), p, b.div(b.mul(m, m_scale), root));
    const Value values[] = {b.sub(p, b.mul(lr, step)), e.f(0), m, v};
    for (uint32_t i = 0; i < 4; ++i) e.store(results + i, unit.at, kFloat, values[i]);
  });
  return e.finish();
}

template SizedKernel kernelOf(const LayerNormGradSpec &, const Operands &);
template SizedKernel kernelOf(const SumRowsSpec &, const Operands &);
template SizedKernel kernelOf(const PoolGradSpec &, const Operands &);

} // namespace linnet::vulkan
