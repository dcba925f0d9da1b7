// Sums of integers with VNNI: exact products of bytes, then a factor a row of a and a scale a column (and group)
// of w. Weights become unsigned in registers, w + zero; what that adds to a sum stands in a's rows, see IntegerRows.
// Asymmetric weights are unsigned, and a's rows have the sums that multiply their minima. The two bytes of a number
// of a have sums of their own.
#include "backends/cpu/packed_kernels.h"

namespace linnet::cpu {
namespace {

struct IntegerTile : PackedItem, PackedTile {
  IntegerRows layout;
  Values rows_of_a{}; ///< their addresses
  FetchAhead ahead{};

  bool unsignedRows() const { return start != nullptr; }
  /// Rows of w that one load brings.
  int depth() const { return int(spec.interleave()); }
  /// Rows of w in one step of the loop.
  int unroll() const { return depth() * (rows * bytes >= 4 ? 2 : 4); }
  /// Sum of half h, row r, vector c.
  int at(int h, int r, int c) const { return (h * rows + r) * vectors + c; }
  Value *constant(uint32_t value) const { return e.splat(e.b.getInt32(value), e.lanes()); }

  /// Quadruples of row k of w, then, of i4, of the other half of its eight rows.
  Values weights(Value *k) const {
    Values low, high;
    for (int c = 0; c < vectors; ++c) {
      Value *index = e.muladd(e.b.CreateUDiv(k, e.i64(depth())), e.i64(spec.n_block),
                              e.b.CreateAdd(column, e.i64(c * e.lanes())));
      Value *loaded = e.load(Type::i32, panel, index, e.lanes());
      if (unsignedRows()) {
        low.push_back(loaded);
        continue;
      }
      if (spec.w == Type::i8) {
        low.push_back(e.b.CreateXor(loaded, constant(0x80808080)));
        continue;
      }
      Value *flipped = e.b.CreateXor(loaded, constant(0x88888888)), *mask = constant(0x0f0f0f0f);
      low.push_back(e.b.CreateAnd(flipped, mask));
      high.push_back(e.b.CreateAnd(e.b.CreateLShr(flipped, 4), mask));
    }
    low.append(high.begin(), high.end());
    return low;
  }

  Values step(const Values &acc, Value *k) const {
    Values next = acc;
    const Values w = weights(k);
    for (int d = 0; d < depth(); d += 4)
      for (int h = 0; h < bytes; ++h)
        for (int r = 0; r < rows; ++r) {
          Value *offset = e.b.CreateAdd(k, e.i64(h * layout.padded() + d));
          Value *four = e.load(Type::i32, e.address(Type::i8, rows_of_a[size_t(r)], offset), e.i64(0));
          Value *x = e.splat(four, e.lanes());
          for (int c = 0; c < vectors; ++c) {
            Value *&sum = next[at(h, r, c)];
            Value *y = w[d / 4 * vectors + c];
            sum = unsignedRows() ? e.dotBytes(sum, x, y) : e.dotBytes(sum, y, x);
          }
        }
    return next;
  }

  /// Sums over rows [from, from + count) of w, which are group `group`; count is known.
  Values range(Value *group, Value *from, int64_t count) const {
    Values acc;
    for (int r = 0; unsignedRows() && r < rows; ++r)
      for (int c = 0; c < vectors; ++c)
        acc.push_back(e.load(Type::i32, start, e.b.CreateAdd(column, e.i64(c * e.lanes())), e.lanes()));
    for (int h = 0; !unsignedRows() && h < bytes; ++h)
      for (int r = 0; r < rows; ++r) {
        acc.append(vectors, spec.asymmetric ? constant(0) : e.splat(rowSum(r, group, h), e.lanes()));
      }
    const int64_t main = count / unroll() * unroll();
    acc = e.loop(e.i64(0), e.i64(main), unroll(), acc, [&](Value *k, const Values &current) {
      Values next = current;
      ahead.step(e, e.b.CreateUDiv(e.b.CreateAdd(from, k), e.i64(unroll())));
      for (int u = 0; u < unroll(); u += depth())
        next = step(next, e.b.CreateAdd(e.b.CreateAdd(from, k), e.i64(u)));
      return next;
    });
    for (int64_t k = main; k < count; k += depth()) acc = step(acc, e.b.CreateAdd(from, e.i64(k)));
    return acc;
  }

  /// What IntegerRows has of half h of row r for a group.
  Value *rowSum(int r, Value *group, int h) const {
    Value *index = e.muladd(group, e.i64(2), e.i64(layout.sumsAt() / 4 + h));
    return e.load(Type::i32, rows_of_a[size_t(r)], index);
  }
  Value *real(Value *integer) const {
    return e.b.CreateSIToFP(integer, e.floatType(Emitter::lanesOf(integer)));
  }
  /// A number from its two halves, as a float.
  Value *joined(Value *high, Value *low) const {
    if (spec.group && spec.group <= 256) return real(e.b.CreateAdd(e.b.CreateShl(high, 8), low)); // fits
    return e.fma(real(high), e.f32(256, Emitter::lanesOf(high)), real(low));
  }
  /// The sum of one row and vector as a float.
  Value *total(const Values &acc, int r, int c) const {
    return bytes == 1 ? real(acc[at(0, r, c)]) : joined(acc[at(0, r, c)], acc[at(1, r, c)]);
  }
  /// The sum of a row's numbers of a group, which multiplies the minima.
  Value *rowTotal(int r, Value *group) const {
    Value *sum = bytes == 1 ? real(rowSum(r, group, 0)) : joined(rowSum(r, group, 0), rowSum(r, group, 1));
    return e.splat(sum, e.lanes());
  }
  /// Row `row` of the scales.
  Value *scaleOf(Value *row, int c) const {
    Value *in_row = e.b.CreateAdd(column, e.i64(c * e.lanes()));
    return e.load(Type::f32, scale, e.muladd(row, e.i64(spec.n_block), in_row), e.lanes());
  }
  Values addGroup(const Values &sums, Value *group, int64_t count) const {
    const Values acc = range(group, e.b.CreateMul(group, e.i64(spec.group)), count);
    Values next = sums;
    Value *row = spec.asymmetric ? e.b.CreateMul(group, e.i64(2)) : group;
    for (int c = 0; c < vectors; ++c) {
      Value *factor = scaleOf(row, c);
      for (int r = 0; r < rows; ++r)
        next[r * vectors + c] = e.fma(total(acc, r, c), factor, next[r * vectors + c]);
    }
    if (!spec.asymmetric) return next;
    row = e.b.CreateAdd(row, e.i64(1));
    for (int r = 0; r < rows; ++r) {
      Value *of_row = rowTotal(r, group);
      for (int c = 0; c < vectors; ++c)
        next[r * vectors + c] = e.fma(of_row, scaleOf(row, c), next[r * vectors + c]);
    }
    return next;
  }
  Values sums() const {
    if (!spec.addsGroups()) {
      const Values acc = range(e.i64(0), e.i64(0), spec.k);
      Values sums;
      for (int r = 0; r < rows; ++r)
        for (int c = 0; c < vectors; ++c)
          sums.push_back(e.b.CreateFMul(total(acc, r, c), scaleOf(e.i64(0), c)));
      return sums;
    }
    const int64_t whole = spec.k / spec.group;
    Values sums = e.loop(e.i64(0), e.i64(whole), 1, Values(rows * vectors, e.f32(0, e.lanes())),
                         [&](Value *group, const Values &now) { return addGroup(now, group, spec.group); });
    const int64_t rest = spec.k % spec.group;
    return rest ? addGroup(sums, e.i64(whole), rest) : sums;
  }

  void write() const {
    const Values all = sums();
    for (int r = 0; r < rows; ++r) {
      Value *factor =
          e.splat(e.load(Type::f32, rows_of_a[size_t(r)], e.i64(layout.factorAt() / 4)), e.lanes());
      for (int c = 0; c < vectors; ++c)
        e.store(Type::f32, scratch, e.b.CreateAdd(column, e.i64(r * spec.n_block + c * e.lanes())),
                e.b.CreateFMul(all[r * vectors + c], factor));
    }
  }
};

} // namespace

void columnSums(const PackedItem &item) {
  Emitter &e = item.e;
  const int vectors = std::min<int>(4, int(item.spec.n_block) / e.lanes());
  e.loop(e.i64(0), e.i64(item.spec.n_block), vectors * e.lanes(), [&](Value *column) {
    const IntegerTile tile{item, {1, vectors, nullptr, column}, item.spec.integerRows()};
    Value *ones = tile.constant(0x01010101);
    auto add = [&](Value *k, const Values &now) {
      const Values w = tile.weights(k);
      Values next;
      for (int c = 0; c < vectors; ++c) next.push_back(e.dotBytes(now[c], ones, w[c]));
      return next;
    };
    const Values sums =
        e.loop(e.i64(0), e.i64(item.spec.k), tile.depth(), Values(vectors, tile.constant(0)), add);
    for (int c = 0; c < vectors; ++c)
      e.store(Type::i32, item.start, e.b.CreateAdd(column, e.i64(c * e.lanes())),
              e.b.CreateMul(sums[c], tile.constant(uint32_t(-128))));
  });
}

void integerSums(const PackedItem &item, const PackedTile &tile) {
  IntegerTile sums{item, tile, item.spec.integerRows()};
  Emitter &e = item.e;
  for (Value *row : rowsOf(item, tile))
    sums.rows_of_a.push_back(e.address(Type::i8, item.a, e.b.CreateMul(row, e.i64(sums.layout.bytes()))));
  sums.ahead = fetchAhead(item, tile, item.spec.k / sums.unroll());
  sums.write();
}

} // namespace linnet::cpu
