// Kernels of training but attention's: see gradient_kernels.h for what each computes, docs/ir.md for the
// formulas.
#include "backends/vulkan/gradient_kernels.h"
#include "backends/vulkan/philox.h"
#include "backends/vulkan/row.h"

#include <algorithm>
#include <bit>
#include <fmt/format.h>

namespace linnet::vulkan {
namespace {

constexpr Type kFloat = Type::f32;

std::string bits(float x) { return fmt::format("{:x}", std::bit_cast<uint32_t>(x)); }
const char *partsText(bool in_parts) { return in_parts ? "_parts" : ""; }

/// A row's label, kept inside the columns; `counts` says that it is not negative.
struct Label {
  Value index, counts;
  Label(Emitter &e, Value row, Value columns) {
    Builder &b = e.b;
    Value label = e.load(1, row, Type::i32), zero = b.constant(int32_t(0));
    counts = b.le(zero, label);
    index = b.min(b.bitcast(b.max(label, zero), Builder::u32()), b.sub(columns, e.u(1)));
  }
};

/// A row of logits and what its softmax needs.
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

Kernel crossEntropyKernel(const CrossEntropySpec &spec) {
  Emitter e(fmt::format("cross_entropy_c{}{}", spec.columns.text(), partsText(spec.in_parts)), 3, kItems,
            spec.where);
  Builder &b = e.b;
  const RowSpec rows{1, spec.columns};
  Logits logits(e, rows);
  e.forUnitsByGroup(spec.in_parts, [&](Emitter::Unit unit) {
    logits.at(unit.at);
    const Label label(e, unit.number, logits.row.columns);
    b.ifThen(b.eq(b.localId(0), e.u(0)), [&] {
      Value loss = b.add(e.log(logits.total), b.sub(logits.largest, logits.row.x(label.index)));
      e.store(2, unit.number, kFloat, b.select(label.counts, loss, e.f(0)));
    });
  });
  return e.finish();
}

Kernel crossEntropyGradKernel(const CrossEntropySpec &spec) {
  Emitter e(fmt::format("cross_entropy_grad_c{}{}", spec.columns.text(), partsText(spec.in_parts)), 4, kItems,
            spec.where);
  Builder &b = e.b;
  const RowSpec rows{1, spec.columns};
  Logits logits(e, rows);
  e.forUnitsByGroup(spec.in_parts, [&](Emitter::Unit unit) {
    logits.at(unit.at);
    const Label label(e, unit.number, logits.row.columns);
    Value dy = b.select(label.counts, e.load(2, unit.number, kFloat), e.f(0));
    Value scale = b.div(dy, logits.total);
    logits.row.forColumns([&](Value c) {
      Value is_label = b.select(b.eq(c, label.index), dy, e.f(0));
      e.store(3, b.add(logits.row.base, c), kFloat, b.sub(b.mul(logits.weight(c), scale), is_label));
    });
  });
  return e.finish();
}

Kernel layerNormGradKernel(const RowSpec &spec) {
  Emitter e(
      fmt::format("layer_norm_grad_r{}_c{}_eps{}", spec.rows.text(), spec.columns.text(), bits(spec.epsilon)),
      4, kItems, spec.where);
  Builder &b = e.b;
  Row row{e, spec};
  row.forRows([&](Value) {
    const Row::Moments moments = row.moments();
    auto scaled = [&](Value c) {
      return b.mul(e.load(2, b.add(row.base, c), kFloat), e.load(1, c, spec.gain));
    };
    auto normal = [&](Value c) { return b.mul(b.sub(row.x(c), moments.mean), moments.inverse); };
    Value mean_g = row.mean(scaled);
    Value mean_gy = row.mean([&](Value c) { return b.mul(scaled(c), normal(c)); });
    row.forColumns([&](Value c) {
      Value rest = b.sub(b.sub(scaled(c), mean_g), b.mul(normal(c), mean_gy));
      e.store(3, b.add(row.base, c), kFloat, b.mul(rest, moments.inverse));
    });
  });
  return e.finish();
}

Kernel dropoutKernel(const VulkanDropoutSpec &spec) {
  Emitter e(fmt::format("dropout_{}_{}{}", bits(spec.rate), spec.stream, partsText(spec.in_parts)), 3, kItems,
            spec.where);
  Builder &b = e.b;
  Value key0 = b.bitcast(e.load(1, e.u(0), Type::i32), Builder::u32());
  Value key1 = b.bitcast(e.load(1, e.u(1), Type::i32), Builder::u32());
  e.forUnits(spec.in_parts, [&](Emitter::Unit unit) {
    Value drawn =
        b.shiftRight(philox(e, {unit.number, e.u(0), e.u(spec.stream), e.u(0)}, {key0, key1}), e.u(8));
    Value scaled = b.mul(e.load(0, unit.at, kFloat), e.f(spec.factor()));
    e.store(2, unit.at, kFloat, b.select(b.lt(drawn, e.u(spec.threshold())), e.f(0), scaled));
  });
  return e.finish();
}

Kernel sumRowsKernel(const SumRowsSpec &spec) {
  constexpr uint32_t kLanes = SumRowsSpec::kColumns * SumRowsSpec::kSlices;
  Emitter e(fmt::format("sum_rows_r{}_c{}", spec.rows.text(), spec.columns.text()), 3, kLanes, spec.where);
  Builder &b = e.b;
  Shared sums = e.shared(Builder::f32(), kLanes, "sums");
  Value lane = b.localId(0), wide = e.u(SumRowsSpec::kColumns);
  Value columns = e.extent(spec.columns), rows = e.extent(spec.rows);
  Value blocks = b.div(b.add(columns, e.u(SumRowsSpec::kColumns - 1)), wide);
  e.forGroups(blocks, [&](Value block) {
    Value c = b.add(b.mul(block, wide), b.mod(lane, wide)), inside = b.lt(c, columns);
    Variable sum = b.variable(e.f(0));
    b.ifThen(inside, [&] {
      b.forRange(b.div(lane, wide), rows, e.u(SumRowsSpec::kSlices), [&](Value r) {
        b.set(sum, b.add(b.get(sum), e.load(1, b.add(b.mul(r, columns), c), kFloat)));
      });
    });
    b.barrier(); // the block before is read
    b.store(sums, lane, b.get(sum));
    b.barrier();
    b.ifThen(b.logicalAnd(inside, b.lt(lane, wide)), [&] {
      Value total = e.load(0, c, kFloat);
      for (uint32_t slice = 0; slice < SumRowsSpec::kSlices; ++slice)
        total = b.add(total, b.load(sums, b.add(lane, e.u(slice * SumRowsSpec::kColumns))));
      e.store(2, c, kFloat, total);
    });
  });
  return e.finish();
}

Kernel scatterAddKernel(const ScatterAddSpec &spec) {
  Emitter e(fmt::format("scatter_add_v{}_n{}_c{}{}", spec.table_rows, spec.count.text(), spec.columns.text(),
                        partsText(spec.in_parts)),
            3, kItems, spec.where);
  Builder &b = e.b;
  Shared scratch = e.shared(Builder::u32(), kItems, "scratch");
  Value count = e.extent(spec.count), columns = e.extent(spec.columns), lane = b.localId(0);
  auto id = [&](Value i) {
    Value id = b.bitcast(b.max(e.load(0, i, Type::i32), b.constant(int32_t(0))), Builder::u32());
    return b.min(id, e.u(uint64_t(spec.table_rows - 1)));
  };
  // An invocation looks at all ids for several of its columns at once: llvmpipe ends a kernel's loops after
  // 65,535 steps in all, and a batch has some thousands of ids.
  constexpr int64_t kMostOwn = 16;
  const int64_t needed = spec.columns.isStatic() ? (spec.columns.factor + kItems - 1) / kItems : kMostOwn;
  const auto own = uint32_t(std::min(needed, kMostOwn));
  auto addOwn = [&](Emitter::Unit row, Value first, Value begin, Value end) {
    Value base = b.mul(row.at, columns), last = b.sub(columns, e.u(1));
    auto column = [&](uint32_t j) { return b.add(first, e.u(j * kItems)); };
    std::vector<Variable> sums;
    for (uint32_t j = 0; j < own; ++j) { // what others may be writing is not to be read
      sums.push_back(b.variable(e.f(0)));
      b.ifThen(b.lt(column(j), columns), [&] { b.set(sums[j], e.load(2, b.add(base, column(j)), kFloat)); });
    }
    auto add = [&](Value i) {
      b.ifThen(b.eq(id(i), row.number), [&] {
        Value from = b.mul(i, columns);
        for (uint32_t j = 0; j < own; ++j)
          b.set(sums[j], b.add(b.get(sums[j]), e.load(1, b.add(from, b.min(column(j), last)), kFloat)));
      });
    };
    b.forRange(begin, end, e.u(1), add, e.atMost(spec.count));
    for (uint32_t j = 0; j < own; ++j)
      b.ifThen(b.lt(column(j), columns), [&] { e.store(2, b.add(base, column(j)), kFloat, b.get(sums[j])); });
  };
  e.forUnitsByGroup(spec.in_parts, [&](Emitter::Unit row) {
    // Most rows of a table get nothing. [first, last): what there is for this one.
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

Kernel poolGradKernel(const PoolSpec &spec) {
  static const char *const kModes[] = {"last", "first", "mean"};
  Emitter e(fmt::format("pool_grad_{}_b{}_t{}_c{}", kModes[int(spec.mode)], spec.batch.text(),
                        spec.positions.text(), spec.columns.text()),
            3, kItems, spec.where);
  Builder &b = e.b;
  e.forItems(spec.batch * spec.positions * spec.columns, [&](Value i) {
    Value columns = e.extent(spec.columns), positions = e.extent(spec.positions);
    Value c = b.mod(i, columns), row = b.div(i, columns);
    Value t = b.mod(row, positions), sequence = b.div(row, positions);
    Value length = b.bitcast(b.max(e.load(1, sequence, Type::i32), b.constant(int32_t(1))), Builder::u32());
    length = b.min(length, positions);
    Value takes = spec.mode == Pooling::mean   ? b.lt(t, length)
                  : spec.mode == Pooling::last ? b.eq(t, b.sub(length, e.u(1)))
                                               : b.eq(t, e.u(0));
    Value dy = e.load(0, b.add(b.mul(sequence, columns), c), kFloat);
    if (spec.mode == Pooling::mean) dy = b.div(dy, b.convert(length, Builder::f32()));
    e.store(2, i, kFloat, b.select(takes, dy, e.f(0)));
  });
  return e.finish();
}

Kernel adamwKernel(const VulkanAdamWSpec &spec) {
  const bool pulled = spec.pull != 0;
  const uint32_t results = spec.in_place ? 0 : 8u + pulled;
  Emitter e(fmt::format("adamw_{}_{}_{}_{}_{}_{}{}{}", bits(spec.beta1), bits(spec.beta2), bits(spec.epsilon),
                        bits(spec.decay), bits(spec.lr_scale), bits(spec.pull),
                        spec.in_place ? "_in_place" : "", partsText(spec.in_parts)),
            8u + pulled + (spec.in_place ? 0 : 4), kItems, spec.where);
  Builder &b = e.b;
  auto scalar = [&](uint32_t operand) { return e.load(operand, e.u(0), kFloat); };
  Value scale = scalar(4), lr = b.mul(scalar(5), e.f(spec.lr_scale)), m_scale = scalar(6),
        v_scale = scalar(7);
  e.forUnits(spec.in_parts, [&](Emitter::Unit unit) {
    auto load = [&](uint32_t operand) { return e.load(operand, unit.at, kFloat); };
    Value p = load(0), g = b.mul(load(1), scale);
    if (pulled) g = b.fma(e.f(spec.pull), b.sub(p, load(8)), g);
    Value m = b.fma(e.f(spec.beta1), load(2), b.mul(e.f(1 - double(spec.beta1)), g));
    Value v = b.fma(e.f(spec.beta2), load(3), b.mul(e.f(1 - double(spec.beta2)), b.mul(g, g)));
    Value root = b.add(b.sqrt(b.mul(v, v_scale)), e.f(spec.epsilon));
    Value step = b.fma(e.f(spec.decay), p, b.div(b.mul(m, m_scale), root));
    const Value values[] = {b.sub(p, b.mul(lr, step)), e.f(0), m, v};
    for (uint32_t i = 0; i < 4; ++i) e.store(results + i, unit.at, kFloat, values[i]);
  });
  return e.finish();
}

} // namespace linnet::vulkan
