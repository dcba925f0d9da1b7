// Sums of products of floats. A 16-bit weight is read as pairs of rows and widened in registers. If a is bf16, too, and
// the processor multiplies pairs of bf16, the pairs are multiplied without widening.
#include "backends/cpu/ops/packed.h"

namespace linnet::cpu {
namespace {

struct FloatTile : PackedItem, PackedTile {
  Values rows_of_a{}; ///< indices of the first elements
  FetchAhead ahead{};
  const BlockTile *in_block = nullptr; ///< null if the tile reads all rows of w

  /// Rows of w in one load.
  int depth() const { return int(spec.interleave()); }
  /// Rows of w in one iteration of the loop.
  int unroll() const { return depth() * (rows >= 4 ? 2 : 4); }
  /// The type that a is read in: blocks read widened elements.
  Type typeOfA() const { return in_block ? Type::f32 : spec.a; }
  bool multipliesPairs() const { return spec.w == Type::bf16 && spec.a == Type::bf16 && e.isa.bf16; }
  Value *aIndex(int r, Value *k) const { return e.b.CreateAdd(rows_of_a[size_t(r)], k); }

  /// Vectors of row k + d of w, from `column` on. If pairs are multiplied, each vector holds both rows.
  Values weights(Value *k, int d) const {
    Values row;
    if (in_block) k = e.b.CreateAdd(k, in_block->k0);
    for (int c = 0; c < vectors; ++c) {
      Value *at = e.b.CreateAdd(column, e.i64(c * e.lanes()));
      if (depth() == 1) {
        row.push_back(e.load(spec.w, panel, e.muladd(k, e.i64(spec.n_block), at), e.lanes()));
        continue;
      }
      Value *pair =
          e.load(Type::i32, panel, e.muladd(e.b.CreateLShr(k, 1), e.i64(spec.n_block), at), e.lanes());
      // Loads the pair again for the second row: keeping it in a register would spill a sum.
      if (d == 1 && rows * vectors > mostSumsBesideWords(e))
        llvm::cast<llvm::LoadInst>(pair)->setVolatile(true);
      row.push_back(multipliesPairs() ? pair : d ? e.highBfloat(pair) : e.lowBfloat(pair));
    }
    return row;
  }

  /// a[r][k], and a[r][k + 1] if `deep` is 2, in one word.
  Value *pairOf(int r, Value *k, int deep) const {
    if (deep == 2) return e.load(Type::i32, e.address(Type::bf16, a, aIndex(r, k)), e.i64(0));
    return e.b.CreateLShr(e.b.CreateBitCast(e.load(Type::bf16, a, aIndex(r, k)), e.intType(1)), 16);
  }

  /// acc[r][c] += a[r][k] w[k][c] for `deep` rows of w from k on.
  Values step(const Values &acc, Value *k, int deep) const {
    Values next = acc;
    if (multipliesPairs()) {
      const Values w = weights(k, 0);
      for (int r = 0; r < rows; ++r) {
        Value *pair = e.splat(pairOf(r, k, deep), e.lanes());
        for (int c = 0; c < vectors; ++c)
          next[r * vectors + c] = e.dotBfloatPairs(next[r * vectors + c], w[c], pair);
      }
      return next;
    }
    for (int d = 0; d < deep; ++d) {
      const Values w = weights(k, d);
      for (int r = 0; r < rows; ++r) {
        Value *x = e.splat(e.load(typeOfA(), a, aIndex(r, e.b.CreateAdd(k, e.i64(d)))), e.lanes());
        for (int c = 0; c < vectors; ++c)
          next[r * vectors + c] = e.fma(x, w[size_t(c)], next[r * vectors + c]);
      }
    }
    return next;
  }

  /// The index of row r, vector c in the scratch.
  Value *inScratch(int r, int c) const {
    Value *at = e.b.CreateAdd(column, e.i64(r * spec.n_block + c * e.lanes()));
    return scratch_row ? e.muladd(scratch_row, e.i64(spec.n_block), at) : at;
  }
  /// The sums of the previous slices or blocks, or zeros.
  Values begun() const {
    Values acc(rows * vectors, e.f32(0, e.lanes()));
    Value *before = in_block ? in_block->k0 : slice;
    if (!before) return acc;
    Value *first = e.b.CreateICmpEQ(before, e.i64(0));
    for (int r = 0; r < rows; ++r)
      for (int c = 0; c < vectors; ++c) {
        Value *before = e.load(Type::f32, scratch, inScratch(r, c), e.lanes());
        acc[r * vectors + c] = e.b.CreateSelect(first, acc[r * vectors + c], before);
      }
    return acc;
  }

  void write() const {
    const int64_t count = spec.k / slices, main = count / unroll() * unroll();
    Value *k0 = slice ? e.b.CreateMul(slice, e.i64(count)) : e.i64(0);
    Values acc = e.loop(e.i64(0), e.i64(main), unroll(), begun(), [&](Value *k, const Values &current) {
      Values next = current;
      ahead.step(e, e.b.CreateUDiv(k, e.i64(unroll())));
      for (int u = 0; u < unroll(); u += depth())
        next = step(next, e.b.CreateAdd(k0, e.b.CreateAdd(k, e.i64(u))), depth());
      return next;
    });
    for (int64_t k = main; k < count; k += depth())
      acc = step(acc, e.b.CreateAdd(k0, e.i64(k)), int(std::min<int64_t>(depth(), count - k)));
    store(acc);
  }
  void store(const Values &acc) const {
    for (int r = 0; r < rows; ++r)
      for (int c = 0; c < vectors; ++c) e.store(Type::f32, scratch, inScratch(r, c), acc[r * vectors + c]);
  }

  /// acc plus the products of rows [from, to) of w, `by` rows in each iteration.
  Values sumRows(const Values &acc, Value *from, Value *to, int by) const {
    return e.loop(from, to, by, acc, [&](Value *k, const Values &now) {
      Values next = now;
      for (int u = 0; u < by; u += std::min(by, depth()))
        next = step(next, e.b.CreateAdd(k, e.i64(u)), std::min(by, depth()));
      return next;
    });
  }
  void writeBlock() const {
    Value *count = in_block->count, *chunk = in_block->chunk;
    Value *chunks = e.b.CreateUDiv(count, chunk), *main = e.b.CreateMul(chunks, chunk);
    Values acc = e.loop(e.i64(0), chunks, 1, begun(), [&](Value *number, const Values &now) {
      prefetchNext(e, *in_block, number);
      Value *from = e.b.CreateMul(number, chunk);
      return sumRows(now, from, e.b.CreateAdd(from, chunk), unroll());
    });
    Value *whole = e.b.CreateAnd(count, e.i64(-depth()));
    acc = sumRows(acc, main, whole, depth());
    if (depth() > 1) acc = sumRows(acc, whole, count, 1);
    store(acc);
  }
};

} // namespace

void floatSums(const PackedItem &item, const PackedTile &tile) {
  FloatTile sums{item, tile};
  for (Value *row : rowsOf(item, tile))
    sums.rows_of_a.push_back(item.e.b.CreateMul(row, item.e.i64(item.spec.a_stride)));
  sums.ahead = fetchAhead(item, tile, item.spec.k / tile.slices / sums.unroll());
  sums.write();
}

void floatBlockSums(const PackedItem &item, const BlockTile &in_block) {
  Emitter &e = item.e;
  FloatTile sums{item, in_block.tile};
  sums.in_block = &in_block;
  if (in_block.widened) sums.a = in_block.widened;
  for (Value *row : rowsOf(item, in_block.tile))
    sums.rows_of_a.push_back(in_block.widened ? e.b.CreateMul(e.b.CreateSub(row, in_block.tile.row0),
                                                              e.i64(in_block.shape.widenedRow()))
                                              : e.muladd(row, e.i64(item.spec.a_stride), in_block.k0));
  sums.writeBlock();
}

} // namespace linnet::cpu
