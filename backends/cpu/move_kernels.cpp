// Kernels that move elements: lookups, positions, the cache, copies, transposition; and elementwise
// expressions.
#include "backends/cpu/emitter.h"
#include "backends/cpu/kernels.h"

#include <fmt/format.h>

namespace linnet::cpu {
namespace {

/// Where element (row, column) of the table lies, in elements.
Value *tableIndex(Emitter &e, const EmbedSpec &spec, Value *row, Value *column) {
  if (!spec.panel) return e.muladd(row, e.extent(spec.columns), column);
  const EmbedSpec::Panel &panel = *spec.panel;
  Value *k = panel.transposed ? column : row, *n = panel.transposed ? row : column;
  const int64_t size = panel.transposed ? spec.columns.factor : spec.rows;
  const int64_t padded = (size + panel.k_block - 1) / panel.k_block * panel.k_block;
  Value *block = e.i64(panel.n_block), *interleave = e.i64(panel.interleave);
  Value *first = e.b.CreateMul(e.b.CreateUDiv(n, block), e.i64(padded * panel.n_block));
  Value *in_panel = e.muladd(e.b.CreateUDiv(k, interleave), block, e.b.CreateURem(n, block));
  return e.b.CreateAdd(first, e.muladd(in_panel, interleave, e.b.CreateURem(k, interleave)));
}

/// scale of element (row, column): (V, groups), or packed with k_block 1.
Value *tableScale(Emitter &e, const EmbedSpec &spec, Value *row, Value *column) {
  Value *group = spec.group ? e.b.CreateUDiv(column, e.i64(spec.group)) : e.i64(0);
  if (!spec.panel) return e.load(Type::f32, e.arg(3), e.muladd(row, e.i64(spec.groups), group));
  Value *block = e.i64(spec.panel->n_block);
  Value *first = e.b.CreateMul(e.b.CreateUDiv(row, block), e.i64(spec.groups * spec.panel->n_block));
  return e.load(Type::f32, e.arg(3),
                e.b.CreateAdd(first, e.muladd(group, block, e.b.CreateURem(row, block))));
}

void emitEmbed(Emitter &e, const EmbedSpec &spec) {
  Value *table = e.arg(0), *ids = e.arg(1), *out = e.arg(2), *columns = e.extent(spec.columns);
  const bool scaled = spec.table == Type::i8 || spec.table == Type::i4;
  e.loop(e.begin, e.end, 1, [&](Value *row) {
    Value *id = e.loadIndex(ids, row), *last = e.i64(spec.rows - 1);
    id = e.b.CreateSelect(e.b.CreateICmpULT(id, last), id, last);
    Value *to = e.b.CreateMul(row, columns);
    if (scaled)
      return e.loop(e.i64(0), columns, 1, [&](Value *i) {
        Value *from = tableIndex(e, spec, id, i);
        Value *value =
            spec.table == Type::i4
                ? e.signedNibble(e.load(Type::i8, table, e.b.CreateLShr(from, 1)), e.b.CreateAnd(from, 1))
                : e.b.CreateSIToFP(e.load(Type::i8, table, from), e.floatType(1));
        e.store(spec.out, out, e.b.CreateAdd(to, i), e.b.CreateFMul(value, tableScale(e, spec, id, i)));
      });
    auto element = [&](Value *i, int lanes) {
      Value *from = tableIndex(e, spec, id, i);
      if (spec.table == spec.out) return e.copy(spec.out, out, e.b.CreateAdd(to, i), table, from, lanes);
      e.store(spec.out, out, e.b.CreateAdd(to, i), e.load(spec.table, table, from, lanes));
    };
    if (!spec.panel) return e.forVectors(e.i64(0), columns, element);
    e.loop(e.i64(0), columns, 1, [&](Value *i) { element(i, 1); });
  });
}

void emitPositions(Emitter &e, const PositionsSpec &spec) {
  Value *past = e.arg(0), *out = e.arg(1), *positions = e.extent(spec.positions);
  e.forRuns(positions, [&](Value *row, Value *from, Value *to) {
    Value *first = spec.past ? e.loadIndex(past, row) : e.i64(0);
    e.loop(from, to, 1, [&](Value *t) {
      Value *position = e.min(e.b.CreateAdd(first, t), e.i64(spec.limit - 1));
      e.store(Type::i32, out, e.muladd(row, positions, t), e.b.CreateTrunc(position, e.b.getInt32Ty()));
    });
  });
}

void emitCacheAppend(Emitter &e, const CacheAppendSpec &spec) {
  Value *entries = e.arg(0), *past = e.arg(1), *cache = e.arg(2);
  Value *positions = e.extent(spec.positions), *heads = e.extent(spec.heads);
  Value *capacity = e.extent(spec.capacity), *size = e.extent(spec.head_size);
  e.loop(e.begin, e.end, 1, [&](Value *item) {
    Value *row = e.b.CreateSDiv(item, heads), *h = e.b.CreateSRem(item, heads);
    Value *batch = e.b.CreateSDiv(row, positions), *t = e.b.CreateSRem(row, positions);
    Value *slot = e.b.CreateAdd(e.loadIndex(past, batch), t);
    e.ifThen(e.b.CreateICmpULT(slot, capacity), [&] { // what falls behind the end is dropped
      Value *from = e.muladd(row, e.extent(spec.stride), e.b.CreateMul(h, size));
      Value *to = e.b.CreateMul(e.muladd(e.muladd(batch, heads, h), capacity, slot), size);
      e.forVectors(e.i64(0), size, [&](Value *i, int lanes) {
        Value *a = e.b.CreateAdd(to, i), *c = e.b.CreateAdd(from, i);
        if (spec.type == spec.cache) return e.copy(spec.type, cache, a, entries, c, lanes);
        e.store(spec.cache, cache, a, e.load(spec.type, entries, c, lanes));
      });
    });
  });
}

void emitCopy(Emitter &e, const CopySpec &spec) {
  Value *x = e.arg(0), *out = e.arg(1);
  e.forRuns(e.extent(spec.run), [&](Value *row, Value *from, Value *to) {
    Value *source = e.muladd(row, e.extent(spec.in_stride), e.extent(spec.in_offset));
    Value *target = e.muladd(row, e.extent(spec.out_stride), e.extent(spec.out_offset));
    e.forVectors(from, to, [&](Value *i, int lanes) {
      e.copy(spec.type, out, e.b.CreateAdd(target, i), x, e.b.CreateAdd(source, i), lanes);
    });
  });
}

void emitTranspose(Emitter &e, const TransposeSpec &spec) {
  const size_t rank = spec.shape.size();
  Value *x = e.arg(0), *out = e.arg(1);
  Values sizes, strides(rank, nullptr); // strides of x along the result's dimensions
  for (const Extent &extent : spec.shape) sizes.push_back(e.extent(extent));
  Value *stride = e.i64(1);
  for (size_t source = rank; source-- > 0;)
    for (size_t d = 0; d < rank; ++d)
      if (spec.permutation[d] == int64_t(source))
        strides[d] = stride, stride = e.b.CreateMul(stride, sizes[d]);
  const bool contiguous = spec.permutation.back() == int64_t(rank) - 1;
  e.forRuns(sizes.back(), [&](Value *row, Value *from, Value *to) {
    Value *base = e.i64(0), *rest = row;
    for (size_t d = rank - 1; d-- > 0;) {
      base = e.muladd(d == 0 ? rest : e.b.CreateSRem(rest, sizes[d]), strides[d], base);
      rest = e.b.CreateSDiv(rest, sizes[d]);
    }
    Value *target = e.b.CreateMul(row, sizes.back());
    auto move = [&](Value *i, int lanes) {
      e.copy(spec.type, out, e.b.CreateAdd(target, i), x, e.muladd(i, strides.back(), base), lanes);
    };
    if (contiguous)
      e.forVectors(from, to, move);
    else
      e.loop(from, to, 1, [&](Value *i) { move(i, 1); });
  });
}

} // namespace

KernelSource embedKernel(const EmbedSpec &spec) {
  std::string name = fmt::format("embed_{}", nameOf(spec.table));
  if (spec.out != spec.table) name += fmt::format("_to_{}", nameOf(spec.out));
  if (spec.groups > 1) name += fmt::format("_group{}", spec.group);
  if (spec.panel)
    name += fmt::format("_panel{}x{}{}", spec.panel->k_block, spec.panel->n_block,
                        spec.panel->transposed ? "t" : "");
  return {name + fmt::format("_v{}_c{}", spec.rows, spec.columns.text()),
          [spec](Emitter &e) { emitEmbed(e, spec); }};
}

KernelSource positionsKernel(const PositionsSpec &spec) {
  return {
      fmt::format("positions_t{}_limit{}{}", spec.positions.text(), spec.limit, spec.past ? "" : "_from0"),
      [spec](Emitter &e) { emitPositions(e, spec); }};
}

KernelSource cacheAppendKernel(const CacheAppendSpec &spec) {
  return {fmt::format("cache_append_{}_to_{}_t{}_h{}_s{}_d{}_ld{}", nameOf(spec.type), nameOf(spec.cache),
                      spec.positions.text(), spec.heads.text(), spec.capacity.text(), spec.head_size.text(),
                      spec.stride.text()),
          [spec](Emitter &e) { emitCacheAppend(e, spec); }};
}

KernelSource copyKernel(const CopySpec &spec) {
  return {fmt::format("copy_{}_run{}_from{}p{}_to{}p{}", nameOf(spec.type), spec.run.text(),
                      spec.in_stride.text(), spec.in_offset.text(), spec.out_stride.text(),
                      spec.out_offset.text()),
          [spec](Emitter &e) { emitCopy(e, spec); }};
}

KernelSource transposeKernel(const TransposeSpec &spec) {
  std::string name = fmt::format("transpose_{}_", nameOf(spec.type));
  for (int64_t d : spec.permutation) name += std::to_string(d);
  for (const Extent &extent : spec.shape) name += "_" + extent.text();
  return {name, [spec](Emitter &e) { emitTranspose(e, spec); }};
}

} // namespace linnet::cpu
