// Sums of integers with VNNI: exact products of bytes, then a factor a row of a and a scale a column (and group)
// of w. Weights become unsigned in registers, w + zero; what that adds to a sum stands in a's rows, see IntegerRows.
// Asymmetric weights are unsigned, and a's rows have the sums that multiply their minima. The two bytes of a number
// of a have sums of their own.
#include "backends/cpu/ops/packed.h"

namespace linnet::cpu {
namespace {

struct IntegerTile : PackedItem, PackedTile {
  IntegerRows layout;
  Values rows_of_a{}; ///< their addresses
  FetchAhead ahead{};

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
            sum = e.dotBytes(sum, y, x);
          }
        }
    return next;
  }

  /// Sums over rows [from, from + count) of w, which are section `number`; count is known.
  Values range(Value *number, Value *from, int64_t count) const {
    Values acc;
    for (int h = 0; h < bytes; ++h)
      for (int r = 0; r < rows; ++r) acc.append(vectors, startOf(r, number, h));
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

  /// Word number `at` of section `number` of row r, see IntegerRows.
  Value *wordOf(Type type, int r, Value *number, int64_t at) const {
    Value *index = e.muladd(number, e.i64(IntegerRows::kSectionWords), e.i64(layout.sumsAt() / 4 + at));
    return e.load(type, rows_of_a[size_t(r)], index);
  }
  bool hasExponents() const { return layout.hasExponents(bytes); }
  /// The first value of the sums of half h.
  Value *startOf(int r, Value *number, int h) const {
    if (spec.asymmetric && !hasExponents()) return constant(0);
    const int64_t at = hasExponents() ? !spec.asymmetric : h;
    return e.splat(wordOf(Type::i32, r, number, at), e.lanes());
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
  Value *total(const Values &acc, int r, int c, Value *number) const {
    if (hasExponents()) {
      Value *sum = e.b.CreateBitCast(acc[at(0, r, c)], e.floatType(e.lanes()));
      return e.b.CreateFSub(sum, e.splat(wordOf(Type::f32, r, number, 0), e.lanes()));
    }
    return bytes == 1 ? real(acc[at(0, r, c)]) : joined(acc[at(0, r, c)], acc[at(1, r, c)]);
  }
  /// The sum of a row's numbers of a section, which multiplies the minima.
  Value *rowTotal(int r, Value *number) const {
    if (hasExponents()) return e.splat(wordOf(Type::f32, r, number, 1), e.lanes());
    Value *high = wordOf(Type::i32, r, number, 0);
    Value *sum = bytes == 1 ? real(high) : joined(high, wordOf(Type::i32, r, number, 1));
    return e.splat(sum, e.lanes());
  }
  /// Row `row` of the scales.
  Value *scaleOf(Value *row, int c) const {
    Value *in_row = e.b.CreateAdd(column, e.i64(c * e.lanes()));
    return e.load(Type::f32, scale, e.muladd(row, e.i64(spec.n_block), in_row), e.lanes());
  }
  Values addSection(const Values &sums, Value *number, int64_t count) const {
    const int64_t size = layout.section(bytes);
    const Values acc = range(number, e.b.CreateMul(number, e.i64(size)), count);
    Values next = sums;
    if (!spec.group) { // the scale multiplies the sum of all sections
      for (int r = 0; r < rows; ++r)
        for (int c = 0; c < vectors; ++c)
          next[r * vectors + c] = e.b.CreateFAdd(total(acc, r, c, number), next[r * vectors + c]);
      return next;
    }
    Value *row = e.b.CreateUDiv(number, e.i64(spec.group / size));
    if (spec.asymmetric) row = e.b.CreateMul(row, e.i64(2));
    for (int c = 0; c < vectors; ++c) {
      Value *factor = scaleOf(row, c);
      for (int r = 0; r < rows; ++r)
        next[r * vectors + c] = e.fma(total(acc, r, c, number), factor, next[r * vectors + c]);
    }
    if (!spec.asymmetric) return next;
    row = e.b.CreateAdd(row, e.i64(1));
    for (int r = 0; r < rows; ++r) {
      Value *of_row = rowTotal(r, number);
      for (int c = 0; c < vectors; ++c)
        next[r * vectors + c] = e.fma(of_row, scaleOf(row, c), next[r * vectors + c]);
    }
    return next;
  }
  Values sums() const {
    if (!spec.addsSections(bytes)) {
      const Values acc = range(e.i64(0), e.i64(0), spec.k);
      Values sums;
      for (int r = 0; r < rows; ++r)
        for (int c = 0; c < vectors; ++c)
          sums.push_back(e.b.CreateFMul(total(acc, r, c, e.i64(0)), scaleOf(e.i64(0), c)));
      return sums;
    }
    const int64_t size = layout.section(bytes), whole = spec.k / size, rest = spec.k % size;
    Values sums = e.loop(e.i64(0), e.i64(whole), 1, Values(rows * vectors, e.f32(0, e.lanes())),
                         [&](Value *number, const Values &now) { return addSection(now, number, size); });
    if (rest) sums = addSection(sums, e.i64(whole), rest);
    for (int i = 0; !spec.group && i < rows * vectors; ++i)
      sums[i] = e.b.CreateFMul(sums[i], scaleOf(e.i64(0), i % vectors));
    return sums;
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

void integerSums(const PackedItem &item, const PackedTile &tile) {
  IntegerTile sums{item, tile, item.spec.integerRows()};
  Emitter &e = item.e;
  for (Value *row : rowsOf(item, tile))
    sums.rows_of_a.push_back(e.address(Type::i8, item.a, e.b.CreateMul(row, e.i64(sums.layout.bytes()))));
  sums.ahead = fetchAhead(item, tile, item.spec.k / sums.unroll());
  sums.write();
}

} // namespace linnet::cpu
