// Kernels that move elements. Items are elements.
#include "backends/vulkan/emitter.h"
#include "backends/vulkan/kernels.h"
#include "backends/vulkan/ops/panel.h"

#include <fmt/format.h>

namespace linnet::vulkan {

template <> void emit(Emitter &e, const MaskSpec &spec) {
  using Operand = MaskSpec::Operand;
  Builder &b = e.b;
  e.forItems(spec.elements(), [&](Value i) {
    Value capacity = e.extent(spec.capacity), queries = e.extent(spec.queries);
    Value j = b.mod(i, capacity), row = b.div(i, capacity);
    Value t = b.mod(row, queries), sequence = b.div(row, b.mul(queries, e.extent(spec.heads)));
    auto ofSequence = [&](Operand operand) {
      return b.bitcast(e.load(positionOf(spec, operand), sequence, Type::i32), Builder::u32());
    };
    Value past = spec.past ? ofSequence(Operand::past) : e.u(0);
    Value end = b.add(past, spec.causal ? b.add(t, e.u(1)) : queries);
    if (spec.length) end = b.min(end, b.add(past, ofSequence(Operand::length)));
    auto sees = [&] {
      Value before_end = b.lt(j, end);
      if (!spec.window) return before_end; // with a window, j > past + t - window must hold, too
      return b.logicalAnd(before_end, b.lt(b.add(past, t), b.add(j, e.u(uint64_t(spec.window)))));
    };
    e.store(Operand::out, i, spec.type, b.select(sees(), e.load(Operand::x, i, spec.type), e.f(-HUGE_VAL)));
  });
}
template <> Work workOf(const MaskSpec &spec) { return {.items = spec.elements()}; }

namespace {

/// How integers of a table are scaled (see EmbedSpec).
struct TableScale {
  OperandNumber operand;
  int64_t group, scales;
  bool asymmetric;
  const PackedLayout *panel; ///< the table's layout; null if it is not packed
};

/// Integer x of column c of row `row`, multiplied by its scale.
Value scaledElement(Emitter &e, const TableScale &scale, Value x, Value row, Value c) {
  Builder &b = e.b;
  Value group = scale.group ? b.div(c, e.u(uint64_t(scale.group))) : e.u(0);
  const auto scales = uint64_t(scale.scales);
  auto at = [&](Value number) {
    if (!scale.panel) return e.load(scale.operand, b.add(b.mul(row, e.u(scales)), number), Type::f32);
    const auto wide = uint64_t(scale.panel->n_block);
    Value line = b.add(b.mul(b.div(row, e.u(wide)), e.u(scales)), number);
    return e.load(scale.operand, b.add(b.mul(line, e.u(wide)), b.mod(row, e.u(wide))), Type::f32);
  };
  x = b.convert(x, Builder::f32());
  if (!scale.asymmetric) return b.mul(x, at(group));
  Value number = b.mul(group, e.u(2));
  return b.fma(b.add(x, e.f(8)), at(number), at(b.add(number, e.u(1))));
}

/// The element that embedKernel adds for id i = (b, t) in column c.
Value placeOf(Emitter &e, const VulkanEmbedSpec &spec, Value i, Value c) {
  Builder &b = e.b;
  const VulkanEmbedSpec::Places &places = *spec.places;
  const uint32_t past = operandsOf(spec), table = past + places.past;
  Value positions = e.extent(places.positions), row = b.mod(i, positions);
  if (places.past) row = b.add(b.bitcast(e.load(past, b.div(i, positions), Type::i32), Builder::u32()), row);
  row = b.min(row, e.u(uint64_t(std::min(places.limit, places.rows) - 1)));
  Value x = e.load(table, b.add(b.mul(row, e.extent(spec.columns)), c), places.table);
  if (!places.scaled) return x;
  return scaledElement(e, {table + 1, places.group, places.scales, places.asymmetric, nullptr}, x, row, c);
}

std::string nameOf(const VulkanEmbedSpec &spec) {
  if (!spec.places) return spec.key(Walk::all);
  const auto &[rows, table, scaled, group, scales, asymmetric, past, limit, positions] = *spec.places;
  backend::Key key(spec.key(Walk::all));
  key.word("places").type(table).size("v", rows).size("t", positions).size("limit", limit).flag("past", past);
  if (scaled) key.word(fmt::format("scaled{}of{}", group, scales)).flag("asymmetric", asymmetric);
  return key.text;
}

} // namespace

Kernel embedKernel(const VulkanEmbedSpec &spec) {
  using Operand = EmbedSpec::Operand;
  const uint32_t more = spec.places ? 1u + spec.places->past + spec.places->scaled : 0;
  Emitter e(nameOf(spec), operandsOf(spec) + more, kItems, spec.where);
  Builder &b = e.b;
  e.forItems(spec.elements(), [&](Value i) {
    Value columns = e.extent(spec.columns), c = b.mod(i, columns), id = b.div(i, columns);
    Value row = b.bitcast(b.max(e.load(Operand::ids, id, Type::i32), b.constant(int32_t(0))), Builder::u32());
    row = b.min(row, e.u(uint64_t(spec.rows - 1)));
    Value unit = spec.panel ? b.div(row, e.u(uint64_t(spec.panel->n_block))) : row, first = e.firstUnit();
    // If the table is dispatched in parts, other dispatches have the other rows.
    b.ifThen(b.lt(b.sub(unit, first), e.unitCount()), [&] {
      Value x = spec.panel ? panelElement(e, spec.panelSpec(), Operand::table, first, c, row)
                           : e.load(Operand::table, b.add(b.mul(b.sub(row, first), columns), c), spec.table);
      if (spec.scaled) {
        const PackedLayout *panel = spec.panel ? &*spec.panel : nullptr;
        x = scaledElement(e, {Operand::scale, spec.group, spec.scales, spec.asymmetric, panel}, x, row, c);
      }
      if (spec.places) x = b.add(x, placeOf(e, spec, id, c));
      e.store(Operand::out, i, spec.out, x);
    });
  });
  return e.finish();
}

template <> void emit(Emitter &e, const PositionsSpec &spec) {
  using Operand = PositionsSpec::Operand;
  Builder &b = e.b;
  e.forItems(spec.elements(), [&](Value i) {
    Value positions = e.extent(spec.positions);
    Value at = b.bitcast(b.mod(i, positions), Builder::i32());
    if (spec.past) at = b.add(e.load(Operand::past, b.div(i, positions), Type::i32), at);
    e.store(Operand::out, i, Type::i32, b.min(at, b.constant(int32_t(spec.limit - 1))));
  });
}
template <> Work workOf(const PositionsSpec &spec) { return {.items = spec.elements()}; }

template <> void emit(Emitter &e, const CacheAppendSpec &spec) {
  using Operand = CacheAppendSpec::Operand;
  Builder &b = e.b;
  e.forItems(spec.elements(), [&](Value i) {
    Value size = e.extent(spec.head_size), heads = e.extent(spec.heads), positions = e.extent(spec.positions);
    Value capacity = e.extent(spec.capacity);
    Value d = b.mod(i, size), head = b.mod(b.div(i, size), heads), row = b.div(i, b.mul(size, heads));
    Value t = b.mod(row, positions), sequence = b.div(row, positions);
    Value place = b.add(b.bitcast(e.load(Operand::past, sequence, Type::i32), Builder::u32()), t);
    b.ifThen(b.lt(place, capacity), [&] {
      Value from = b.add(b.mul(row, e.extent(spec.stride)), b.add(b.mul(head, size), d));
      Value line = b.add(b.mul(b.add(b.mul(sequence, heads), head), capacity), place);
      e.store(Operand::cache, b.add(b.mul(line, size), d), spec.cache,
              e.load(Operand::entries, from, spec.type));
    });
  });
}
template <> Work workOf(const CacheAppendSpec &spec) { return {.items = spec.elements()}; }

template <> void emit(Emitter &e, const RotarySpec &spec) {
  using Operand = RotarySpec::Operand;
  Builder &b = e.b;
  e.forItems(spec.elements(), [&](Value i) {
    const auto angles = uint64_t(spec.angles), size = uint64_t(spec.head_size);
    Value d = b.mod(i, e.u(size)), row = b.div(i, e.u(size)), heads = e.extent(spec.heads);
    Value token = b.div(row, heads);
    Value from = b.add(b.mul(token, e.extent(spec.stride)), b.mul(b.mod(row, heads), e.u(size)));
    Value x = e.load(Operand::x, b.add(from, d), spec.type);
    Value position = b.bitcast(b.max(e.load(Operand::positions, token, Type::i32), b.constant(int32_t(0))),
                               Builder::u32());
    Value turn = b.mul(b.min(position, e.u(uint64_t(spec.rows - 1))), e.u(2 * angles));
    // Elements beyond the pairs read the last pair and drop the result.
    Value in = b.min(d, e.u(2 * angles - 1));
    Value is_first = spec.interleaved ? b.eq(b.mod(in, e.u(2)), e.u(0)) : b.lt(in, e.u(angles));
    Value n = spec.interleaved ? b.div(in, e.u(2)) : b.select(is_first, in, b.sub(in, e.u(angles)));
    const uint64_t apart = spec.interleaved ? 1 : angles;
    Value partner = b.select(is_first, b.add(in, e.u(apart)), b.sub(in, e.u(apart)));
    Value other = e.load(Operand::x, b.add(from, partner), spec.type);
    Value cosine = e.load(Operand::table, b.add(turn, n), Type::f32);
    Value sine = e.load(Operand::table, b.add(turn, b.add(n, e.u(angles))), Type::f32);
    Value product = b.mul(other, sine), negative = b.sub(e.f(0), product);
    Value added =
        spec.inverse ? b.select(is_first, product, negative) : b.select(is_first, negative, product);
    Value result = b.fma(x, cosine, added);
    if (size > 2 * angles) result = b.select(b.lt(d, e.u(2 * angles)), result, x);
    e.store(Operand::out, i, spec.type, result);
  });
}
template <> Work workOf(const RotarySpec &spec) { return {.items = spec.elements()}; }

template <> void emit(Emitter &e, const CopySpec &spec) {
  Builder &b = e.b;
  e.forItems(spec.elements(), [&](Value i) {
    Value run = e.extent(spec.run), outer = b.div(i, run), inner = b.mod(i, run);
    Value from = b.add(b.add(b.mul(outer, e.extent(spec.in_stride)), e.extent(spec.in_offset)), inner);
    Value to = b.add(b.add(b.mul(outer, e.extent(spec.out_stride)), e.extent(spec.out_offset)), inner);
    e.store(CopySpec::Operand::out, to, spec.type, e.load(CopySpec::Operand::x, from, spec.type));
  });
}
template <> Work workOf(const CopySpec &spec) { return {.items = spec.elements()}; }

template <> void emit(Emitter &e, const TransposeSpec &spec) {
  using Operand = TransposeSpec::Operand;
  Builder &b = e.b;
  const size_t rank = spec.shape.size();
  e.forItems(spec.elements(), [&](Value i) {
    std::vector<Value> at(rank); // indices by x's dimensions
    std::vector<size_t> from(rank);
    Value rest = i;
    for (size_t d = rank; d-- > 0;) {
      from[size_t(spec.permutation[d])] = d;
      Value size = e.extent(spec.shape[d]);
      at[size_t(spec.permutation[d])] = d ? b.mod(rest, size) : rest;
      if (d) rest = b.div(rest, size);
    }
    Value index = at[0];
    for (size_t d = 1; d < rank; ++d) index = b.add(b.mul(index, e.extent(spec.shape[from[d]])), at[d]);
    e.store(Operand::out, i, spec.type, e.load(Operand::x, index, spec.type));
  });
}
template <> Work workOf(const TransposeSpec &spec) { return {.items = spec.elements()}; }

template SizedKernel kernelOf(const MaskSpec &, const Operands &);
template SizedKernel kernelOf(const PositionsSpec &, const Operands &);
template SizedKernel kernelOf(const CacheAppendSpec &, const Operands &);
template SizedKernel kernelOf(const RotarySpec &, const Operands &);
template SizedKernel kernelOf(const CopySpec &, const Operands &);
template SizedKernel kernelOf(const TransposeSpec &, const Operands &);

} // namespace linnet::vulkan
