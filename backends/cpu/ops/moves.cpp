// Kernels that move elements: lookups, positions, cache, rotary, copies, transposition.
#include "backends/cpu/emitter.h"
#include "backends/cpu/kernels.h"

namespace linnet::cpu {
namespace {

/// The index of element (row, column) of the table.
Value *tableIndex(Emitter &e, const EmbedSpec &spec, Value *row, Value *column) {
  if (!spec.panel) return e.muladd(row, e.extent(spec.columns), column);
  const PackedLayout &panel = *spec.panel;
  Value *k = panel.transposed ? column : row, *n = panel.transposed ? row : column;
  const int64_t size = panel.transposed ? spec.columns.factor : spec.rows;
  const int64_t padded = (size + panel.k_block - 1) / panel.k_block * panel.k_block;
  Value *block = e.i64(panel.n_block), *interleave = e.i64(panel.interleave);
  Value *first = e.b.CreateMul(e.b.CreateUDiv(n, block), e.i64(padded * panel.n_block));
  Value *in_panel = e.muladd(e.b.CreateUDiv(k, interleave), block, e.b.CreateURem(n, block));
  return e.b.CreateAdd(first, e.muladd(in_panel, interleave, e.b.CreateURem(k, interleave)));
}

/// Element `number` of a row of scales. Scales are (V, scales), or packed with k_block 1.
Value *tableScale(Emitter &e, const EmbedSpec &spec, Value *row, Value *number) {
  Value *scale = e.arg(spec, EmbedSpec::Operand::scale);
  if (!spec.panel) return e.load(Type::f32, scale, e.muladd(row, e.i64(spec.scales), number));
  Value *block = e.i64(spec.panel->n_block);
  Value *first = e.b.CreateMul(e.b.CreateUDiv(row, block), e.i64(spec.scales * spec.panel->n_block));
  return e.load(Type::f32, scale, e.b.CreateAdd(first, e.muladd(number, block, e.b.CreateURem(row, block))));
}

/// Integer `value` of (row, column), multiplied by its scale.
Value *scaledElement(Emitter &e, const EmbedSpec &spec, Value *value, Value *row, Value *column) {
  Value *group = spec.group ? e.b.CreateUDiv(column, e.i64(spec.group)) : e.i64(0);
  if (!spec.asymmetric) return e.b.CreateFMul(value, tableScale(e, spec, row, group));
  Value *number = e.b.CreateMul(group, e.i64(2)), *minimum = e.b.CreateAdd(number, e.i64(1));
  return e.fma(e.b.CreateFAdd(value, e.f32(8)), tableScale(e, spec, row, number),
               tableScale(e, spec, row, minimum));
}

} // namespace

template <> void emit(Emitter &e, const EmbedSpec &spec) {
  using Operand = EmbedSpec::Operand;
  Value *ids = e.arg(spec, Operand::ids), *out = e.arg(spec, Operand::out),
        *table = e.arg(spec, Operand::table);
  Value *columns = e.extent(spec.columns);
  e.loop(e.begin, e.end, 1, [&](Value *row) {
    Value *id = e.loadIndex(ids, row), *last = e.i64(spec.rows - 1);
    id = e.b.CreateSelect(e.b.CreateICmpULT(id, last), id, last);
    Value *to = e.b.CreateMul(row, columns);
    if (spec.scaled)
      return e.loop(e.i64(0), columns, 1, [&](Value *i) {
        Value *from = tableIndex(e, spec, id, i);
        Value *value =
            spec.table == Type::i4
                ? e.signedNibble(e.load(Type::i8, table, e.b.CreateLShr(from, 1)), e.b.CreateAnd(from, 1))
                : e.b.CreateSIToFP(e.load(Type::i8, table, from), e.floatType(1));
        e.store(spec.out, out, e.b.CreateAdd(to, i), scaledElement(e, spec, value, id, i));
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
template <> Work workOf(const EmbedSpec &spec) { return {.items = spec.ids}; }

template <> void emit(Emitter &e, const PositionsSpec &spec) {
  using Operand = PositionsSpec::Operand;
  Value *past = e.arg(spec, Operand::past), *out = e.arg(spec, Operand::out);
  Value *positions = e.extent(spec.positions);
  e.forRuns(positions, [&](Value *row, Value *from, Value *to) {
    Value *first = spec.past ? e.loadIndex(past, row) : e.i64(0);
    e.loop(from, to, 1, [&](Value *t) {
      Value *position = e.min(e.b.CreateAdd(first, t), e.i64(spec.limit - 1));
      e.store(Type::i32, out, e.muladd(row, positions, t), e.b.CreateTrunc(position, e.b.getInt32Ty()));
    });
  });
}
template <> Work workOf(const PositionsSpec &spec) {
  return {.items = spec.elements(), .grain = kElementGrain};
}

template <> void emit(Emitter &e, const CacheAppendSpec &spec) {
  using Operand = CacheAppendSpec::Operand;
  Value *entries = e.arg(spec, Operand::entries), *past = e.arg(spec, Operand::past),
        *cache = e.arg(spec, Operand::cache);
  Value *positions = e.extent(spec.positions), *heads = e.extent(spec.heads);
  Value *capacity = e.extent(spec.capacity), *size = e.extent(spec.head_size);
  e.loop(e.begin, e.end, 1, [&](Value *item) {
    Value *row = e.b.CreateSDiv(item, heads), *h = e.b.CreateSRem(item, heads);
    Value *batch = e.b.CreateSDiv(row, positions), *t = e.b.CreateSRem(row, positions);
    Value *slot = e.b.CreateAdd(e.loadIndex(past, batch), t);
    e.ifThen(e.b.CreateICmpULT(slot, capacity), [&] { // entries beyond the cache's end are dropped
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
template <> Work workOf(const CacheAppendSpec &spec) {
  return {.items = spec.rows(), .grain = 16, .itemwise = true, .scatters = true};
}

template <> void emit(Emitter &e, const RotarySpec &spec) {
  using Operand = RotarySpec::Operand;
  Value *x = e.arg(spec, Operand::x), *table = e.arg(spec, Operand::table), *out = e.arg(spec, Operand::out);
  Value *positions = e.arg(spec, Operand::positions), *heads = e.extent(spec.heads),
        *size = e.i64(spec.head_size);
  e.loop(e.begin, e.end, 1, [&](Value *row) {
    Value *token = e.b.CreateSDiv(row, heads), *last = e.i64(spec.rows - 1);
    Value *position = e.loadIndex(positions, token);
    position = e.b.CreateSelect(e.b.CreateICmpULT(position, last), position, last);
    Value *turn = e.b.CreateMul(position, e.i64(2 * spec.angles)), *to = e.b.CreateMul(row, size);
    Value *from = e.muladd(token, e.extent(spec.stride), e.b.CreateMul(e.b.CreateSRem(row, heads), size));
    auto rotate = [&](Value *n, Value *i, Value *j, int lanes) {
      auto at = [&](Value *base, Value *index) { return e.b.CreateAdd(base, index); };
      Value *cosine = e.load(Type::f32, table, at(turn, n), lanes);
      Value *sine = e.load(Type::f32, table, at(turn, at(n, e.i64(spec.angles))), lanes);
      if (spec.inverse) sine = e.b.CreateFNeg(sine);
      Value *first = e.load(spec.type, x, at(from, i), lanes),
            *second = e.load(spec.type, x, at(from, j), lanes);
      e.store(spec.type, out, at(to, i), e.fma(first, cosine, e.b.CreateFNeg(e.b.CreateFMul(second, sine))));
      e.store(spec.type, out, at(to, j), e.fma(second, cosine, e.b.CreateFMul(first, sine)));
    };
    if (spec.interleaved)
      e.loop(e.i64(0), e.i64(spec.angles), 1, [&](Value *n) {
        Value *i = e.b.CreateShl(n, 1);
        rotate(n, i, e.b.CreateAdd(i, e.i64(1)), 1);
      });
    else
      e.forVectors(e.i64(0), e.i64(spec.angles),
                   [&](Value *n, int lanes) { rotate(n, n, e.b.CreateAdd(n, e.i64(spec.angles)), lanes); });
    if (spec.head_size > 2 * spec.angles)
      e.forVectors(e.i64(2 * spec.angles), size, [&](Value *i, int lanes) {
        e.copy(spec.type, out, e.b.CreateAdd(to, i), x, e.b.CreateAdd(from, i), lanes);
      });
  });
}
template <> Work workOf(const RotarySpec &spec) { return {.items = spec.headRows()}; }

template <> void emit(Emitter &e, const CopySpec &spec) {
  Value *x = e.arg(spec, CopySpec::Operand::x), *out = e.arg(spec, CopySpec::Operand::out);
  e.forRuns(e.extent(spec.run), [&](Value *row, Value *from, Value *to) {
    Value *source = e.muladd(row, e.extent(spec.in_stride), e.extent(spec.in_offset));
    Value *target = e.muladd(row, e.extent(spec.out_stride), e.extent(spec.out_offset));
    e.forVectors(from, to, [&](Value *i, int lanes) {
      e.copy(spec.type, out, e.b.CreateAdd(target, i), x, e.b.CreateAdd(source, i), lanes);
    });
  });
}
template <> Work workOf(const CopySpec &spec) { return {.items = spec.elements(), .grain = kElementGrain}; }

template <> void emit(Emitter &e, const TransposeSpec &spec) {
  const size_t rank = spec.shape.size();
  Value *x = e.arg(spec, TransposeSpec::Operand::x), *out = e.arg(spec, TransposeSpec::Operand::out);
  Values sizes, strides(rank, nullptr); // strides of x for each dimension of the result
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
template <> Work workOf(const TransposeSpec &spec) {
  return {.items = spec.elements(), .grain = kElementGrain};
}

template SizedKernel kernelOf(const EmbedSpec &);
template SizedKernel kernelOf(const PositionsSpec &);
template SizedKernel kernelOf(const CacheAppendSpec &);
template SizedKernel kernelOf(const RotarySpec &);
template SizedKernel kernelOf(const CopySpec &);
template SizedKernel kernelOf(const TransposeSpec &);

} // namespace linnet::cpu
