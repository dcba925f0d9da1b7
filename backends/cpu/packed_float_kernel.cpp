// Sums of floats. Weights of 16 bits in pairs of rows are widened in registers or, where a is bf16, too, and
// the processor multiplies pairs of it, read as they are.
#include "backends/cpu/packed_kernels.h"

namespace linnet::cpu {
namespace {

struct FloatTile : PackedItem, PackedTile {
  Values rows_of_a{}; ///< where they begin
  FetchAhead ahead{};

  /// Rows of w that lie together: what one load brings.
  int depth() const { return int(spec.interleave()); }
  /// Rows of w in one step of the loop.
  int unroll() const { return depth() * (rows >= 4 ? 2 : 4); }
  bool multipliesPairs() const { return spec.w == Type::bf16 && spec.a == Type::bf16 && e.isa.bf16; }
  Value *aIndex(int r, Value *k) const { return e.b.CreateAdd(rows_of_a[size_t(r)], k); }

  /// Vectors of row k of w (and then of row k + 1), from `column` on.
  Values weights(Value *k) const {
    Values first, second;
    for (int c = 0; c < vectors; ++c) {
      Value *at = e.b.CreateAdd(column, e.i64(c * e.lanes()));
      if (depth() == 1) {
        first.push_back(e.load(spec.w, panel, e.muladd(k, e.i64(spec.n_block), at), e.lanes()));
        continue;
      }
      Value *pair =
          e.load(Type::i32, panel, e.muladd(e.b.CreateLShr(k, 1), e.i64(spec.n_block), at), e.lanes());
      first.push_back(multipliesPairs() ? pair : e.lowBfloat(pair));
      if (!multipliesPairs()) second.push_back(e.highBfloat(pair));
    }
    first.append(second.begin(), second.end());
    return first;
  }

  /// a[r][k] and, of two, a[r][k + 1] in one word.
  Value *pairOf(int r, Value *k, int deep) const {
    if (deep == 2) return e.load(Type::i32, e.address(Type::bf16, a, aIndex(r, k)), e.i64(0));
    return e.b.CreateLShr(e.b.CreateBitCast(e.load(Type::bf16, a, aIndex(r, k)), e.intType(1)), 16);
  }

  /// acc[r][c] += a[r][k] w[k][c] for `deep` rows of w from k on.
  Values step(const Values &acc, Value *k, int deep) const {
    Values next = acc;
    const Values w = weights(k);
    if (multipliesPairs()) {
      for (int r = 0; r < rows; ++r) {
        Value *pair = e.splat(pairOf(r, k, deep), e.lanes());
        for (int c = 0; c < vectors; ++c)
          next[r * vectors + c] = e.dotBfloatPairs(next[r * vectors + c], w[c], pair);
      }
      return next;
    }
    for (int d = 0; d < deep; ++d)
      for (int r = 0; r < rows; ++r) {
        Value *x = e.splat(e.load(spec.a, a, aIndex(r, e.b.CreateAdd(k, e.i64(d)))), e.lanes());
        for (int c = 0; c < vectors; ++c)
          next[r * vectors + c] = e.fma(x, w[d * vectors + c], next[r * vectors + c]);
      }
    return next;
  }

  /// Of row r, vector c.
  Value *inScratch(int r, int c) const {
    Value *at = e.b.CreateAdd(column, e.i64(r * spec.n_block + c * e.lanes()));
    return scratch_row ? e.muladd(scratch_row, e.i64(spec.n_block), at) : at;
  }
  /// What the slices before have summed up.
  Values begun() const {
    Values acc(rows * vectors, e.f32(0, e.lanes()));
    if (!slice) return acc;
    Value *first = e.b.CreateICmpEQ(slice, e.i64(0));
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
    for (int r = 0; r < rows; ++r)
      for (int c = 0; c < vectors; ++c) e.store(Type::f32, scratch, inScratch(r, c), acc[r * vectors + c]);
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

} // namespace linnet::cpu
