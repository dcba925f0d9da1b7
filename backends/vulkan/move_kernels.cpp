// Kernels that move elements: each item is one element.
#include "backends/vulkan/emitter.h"
#include "backends/vulkan/kernels.h"
#include "backends/vulkan/panel.h"

#include <fmt/format.h>

namespace linnet::vulkan {

Kernel maskKernel(const MaskSpec &spec) {
  Emitter e(fmt::format("mask_{}_b{}_h{}_t{}_s{}{}{}{}", nameOf(spec.type), spec.batch.text(),
                        spec.heads.text(), spec.queries.text(), spec.capacity.text(),
                        spec.causal ? "_causal" : "", spec.past ? "_past" : "", spec.length ? "_length" : ""),
            2 + spec.past + spec.length, kItems, spec.where);
  Builder &b = e.b;
  e.forItems(spec.batch * spec.heads * spec.queries * spec.capacity, [&](Value i) {
    Value capacity = e.extent(spec.capacity), queries = e.extent(spec.queries);
    Value j = b.mod(i, capacity), row = b.div(i, capacity);
    Value t = b.mod(row, queries), sequence = b.div(row, b.mul(queries, e.extent(spec.heads)));
    Value past = spec.past ? b.bitcast(e.load(2, sequence, Type::i32), Builder::u32()) : e.u(0);
    Value end = b.add(past, spec.causal ? b.add(t, e.u(1)) : queries);
    if (spec.length)
      end = b.min(end, b.add(past, b.bitcast(e.load(2 + spec.past, sequence, Type::i32), Builder::u32())));
    e.store(1, i, spec.type, b.select(b.lt(j, end), e.load(0, i, spec.type), e.f(-HUGE_VAL)));
  });
  return e.finish();
}

namespace {

/// The scale of column c of row `row` of a table that is not in panels, `groups` a row.
Value rowScale(Emitter &e, uint32_t operand, Value row, Value c, int64_t group, int64_t groups) {
  Builder &b = e.b;
  Value number = group ? b.div(c, e.u(uint64_t(group))) : e.u(0);
  return e.load(operand, b.add(b.mul(row, e.u(uint64_t(groups))), number), Type::f32);
}

/// What embedKernel adds for the id in place i of (b, t).
Value placeOf(Emitter &e, const EmbedSpec &spec, Value i, Value c) {
  Builder &b = e.b;
  const EmbedSpec::Places &places = *spec.places;
  const uint32_t past = 3u + spec.scaled, table = past + places.past;
  Value positions = e.extent(places.positions), row = b.mod(i, positions);
  if (places.past) row = b.add(b.bitcast(e.load(past, b.div(i, positions), Type::i32), Builder::u32()), row);
  row = b.min(row, e.u(uint64_t(std::min(places.limit, places.rows) - 1)));
  Value x = e.load(table, b.add(b.mul(row, e.extent(spec.columns)), c), places.table);
  if (!places.scaled) return x;
  Value scale = rowScale(e, table + 1, row, c, places.group, places.groups);
  return b.mul(b.convert(x, Builder::f32()), scale);
}

std::string nameOf(const EmbedSpec &spec) {
  using backend::nameOf;
  std::string name = fmt::format("embed_{}_to_{}_{}x{}_i{}", nameOf(spec.table), nameOf(spec.out), spec.rows,
                                 spec.columns.text(), spec.ids.text());
  if (spec.panel) name += "_" + spec.panel->text();
  if (spec.scaled) name += fmt::format("_scaled{}of{}", spec.group, spec.groups);
  if (!spec.places) return name;
  const EmbedSpec::Places &places = *spec.places;
  name += fmt::format("_places_{}_{}_t{}_limit{}{}", nameOf(places.table), places.rows,
                      places.positions.text(), places.limit, places.past ? "_past" : "");
  return places.scaled ? name + fmt::format("_scaled{}of{}", places.group, places.groups) : name;
}

} // namespace

Kernel embedKernel(const EmbedSpec &spec) {
  const uint32_t more = spec.places ? 1u + spec.places->past + spec.places->scaled : 0;
  Emitter e(nameOf(spec), 3 + spec.scaled + more, kItems, spec.where);
  Builder &b = e.b;
  e.forItems(spec.ids * spec.columns, [&](Value i) {
    Value columns = e.extent(spec.columns), c = b.mod(i, columns), id = b.div(i, columns);
    Value row = b.bitcast(b.max(e.load(0, id, Type::i32), b.constant(int32_t(0))), Builder::u32());
    row = b.min(row, e.u(uint64_t(spec.rows - 1)));
    Value unit = spec.panel ? b.div(row, e.u(uint64_t(spec.panel->n_block))) : row, first = e.firstUnit();
    // Of a table that is dispatched in parts, another part has the other rows.
    b.ifThen(b.lt(b.sub(unit, first), e.unitCount()), [&] {
      Value x = spec.panel ? panelElement(e, *spec.panel, 2, first, c, row)
                           : e.load(2, b.add(b.mul(b.sub(row, first), columns), c), spec.table);
      if (spec.scaled && !spec.panel) {
        x = b.mul(b.convert(x, Builder::f32()), rowScale(e, 3, row, c, spec.group, spec.groups));
      } else if (spec.scaled) {
        Value group = spec.group ? b.div(c, e.u(uint64_t(spec.group))) : e.u(0);
        const auto wide = uint64_t(spec.panel->n_block);
        Value line = b.add(b.mul(b.div(row, e.u(wide)), e.u(uint64_t(spec.groups))), group);
        Value scale = e.load(3, b.add(b.mul(line, e.u(wide)), b.mod(row, e.u(wide))), Type::f32);
        x = b.mul(b.convert(x, Builder::f32()), scale);
      }
      if (spec.places) x = b.add(x, placeOf(e, spec, id, c));
      e.store(1, i, spec.out, x);
    });
  });
  return e.finish();
}

Kernel positionsKernel(const PositionsSpec &spec) {
  Emitter e(fmt::format("positions_b{}_t{}_limit{}{}", spec.batch.text(), spec.positions.text(), spec.limit,
                        spec.past ? "_past" : ""),
            1 + spec.past, kItems, spec.where);
  Builder &b = e.b;
  e.forItems(spec.batch * spec.positions, [&](Value i) {
    Value positions = e.extent(spec.positions);
    Value at = b.bitcast(b.mod(i, positions), Builder::i32());
    if (spec.past) at = b.add(e.load(1, b.div(i, positions), Type::i32), at);
    e.store(0, i, Type::i32, b.min(at, b.constant(int32_t(spec.limit - 1))));
  });
  return e.finish();
}

Kernel cacheAppendKernel(const CacheAppendSpec &spec) {
  Emitter e(fmt::format("cache_append_{}_to_{}_b{}_t{}_h{}_s{}_d{}_ld{}", nameOf(spec.type),
                        nameOf(spec.cache), spec.batch.text(), spec.positions.text(), spec.heads.text(),
                        spec.capacity.text(), spec.head_size.text(), spec.stride.text()),
            3, kItems, spec.where);
  Builder &b = e.b;
  e.forItems(spec.batch * spec.positions * spec.heads * spec.head_size, [&](Value i) {
    Value size = e.extent(spec.head_size), heads = e.extent(spec.heads), positions = e.extent(spec.positions);
    Value capacity = e.extent(spec.capacity);
    Value d = b.mod(i, size), head = b.mod(b.div(i, size), heads), row = b.div(i, b.mul(size, heads));
    Value t = b.mod(row, positions), sequence = b.div(row, positions);
    Value place = b.add(b.bitcast(e.load(1, sequence, Type::i32), Builder::u32()), t);
    b.ifThen(b.lt(place, capacity), [&] {
      Value from = b.add(b.mul(row, e.extent(spec.stride)), b.add(b.mul(head, size), d));
      Value line = b.add(b.mul(b.add(b.mul(sequence, heads), head), capacity), place);
      e.store(2, b.add(b.mul(line, size), d), spec.cache, e.load(0, from, spec.type));
    });
  });
  return e.finish();
}

Kernel copyKernel(const CopySpec &spec) {
  Emitter e(fmt::format("copy_{}_o{}_run{}_from{}p{}_to{}p{}", nameOf(spec.type), spec.outer.text(),
                        spec.run.text(), spec.in_stride.text(), spec.in_offset.text(), spec.out_stride.text(),
                        spec.out_offset.text()),
            2, kItems, spec.where);
  Builder &b = e.b;
  e.forItems(spec.outer * spec.run, [&](Value i) {
    Value run = e.extent(spec.run), outer = b.div(i, run), inner = b.mod(i, run);
    Value from = b.add(b.add(b.mul(outer, e.extent(spec.in_stride)), e.extent(spec.in_offset)), inner);
    Value to = b.add(b.add(b.mul(outer, e.extent(spec.out_stride)), e.extent(spec.out_offset)), inner);
    e.store(1, to, spec.type, e.load(0, from, spec.type));
  });
  return e.finish();
}

Kernel transposeKernel(const TransposeSpec &spec) {
  std::string name = fmt::format("transpose_{}_", nameOf(spec.type));
  for (int64_t d : spec.permutation) name += fmt::format("{}", d);
  for (const Extent &size : spec.shape) name += "_" + size.text();
  Emitter e(name, 2, kItems, spec.where);
  Builder &b = e.b;
  const size_t rank = spec.shape.size();
  Extent all = 1;
  for (const Extent &size : spec.shape) all = all * size;
  e.forItems(all, [&](Value i) {
    std::vector<Value> at(rank); // by x's dimensions
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
    e.store(1, i, spec.type, e.load(0, index, spec.type));
  });
  return e.finish();
}

} // namespace linnet::vulkan
