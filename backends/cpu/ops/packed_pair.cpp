// Sums of products of integers without VNNI. They are as exact as with it.
//
// i8: weights become pairs of 16-bit numbers. One instruction (pmaddwd) multiplies a pair by two 16-bit numbers of a
// and adds the two products. Bytes would need their signs moved first (psignb, pmaddubsw, pmaddwd). That takes as many
// instructions for as many products, and more of them on the ports that multiply.
//
// i4: weights become unsigned bytes, w + 8. One instruction (pmaddubsw) multiplies them by bytes of a and adds two
// products. 16 bits hold the sums of kNarrow rows, so a group of 32 rows is widened and scaled once.
#include "backends/cpu/ops/packed.h"

namespace linnet::cpu {
namespace {

constexpr int64_t kNarrow = 32; ///< rows whose products, up to 15 * 128, fit two 16-bit sums
/// Rows of i4 for which one 32-bit sum holds 2^8 times the products of the high bytes plus those of the low bytes.
constexpr int64_t kSmallGroup = 256;

/// Half 0 or 1 of the words of a panel. i8: the first and third bytes of each word as 16-bit numbers, or the second and
/// fourth. i4: the even rows of each word as bytes, or the odd ones.
Value *halfOf(Emitter &e, Type w, Value *words, int half) {
  const int lanes = e.lanes();
  if (w == Type::i4) {
    auto constant = [&](uint32_t value) { return e.splat(e.b.getInt32(value), lanes); };
    Value *flipped = e.b.CreateXor(words, constant(0x88888888));
    return e.b.CreateAnd(half ? e.b.CreateLShr(flipped, 4) : flipped, constant(0x0f0f0f0f));
  }
  Value *pairs = e.b.CreateBitCast(words, e.intType(2 * lanes, 16));
  return e.b.CreateBitCast(e.b.CreateAShr(half ? pairs : e.b.CreateShl(pairs, 8), 8), e.intType(lanes));
}

struct PairTile : PackedItem, PackedTile {
  IntegerRows layout;
  const BlockTile *in_block = nullptr; ///< null if w is read from the panel
  Values rows_of_a{};                  ///< addresses of the rows
  Values numbers_of_a{};               ///< addresses of the rows' integers that belong to the first row of w

  bool isI4() const { return spec.w == Type::i4; }
  /// Rows of w in a word.
  int64_t depth() const { return spec.interleave(); }
  Value *firstRow() const { return in_block ? in_block->k0 : e.i64(0); }
  Value *zero(int bits = 32) const {
    return llvm::Constant::getNullValue(e.intType(e.lanes() * 32 / bits, bits));
  }

  /// Half `half` of word k / depth() of column vector c.
  Value *weight(Value *k, Value *at_column, int c, int half) const {
    Value *word = e.b.CreateUDiv(k, e.i64(depth()));
    if (in_block) {
      const int64_t at = (half * vectors + c) * e.lanes();
      Value *index = e.muladd(word, e.i64(2 * vectors * e.lanes()), e.i64(at));
      return e.load(Type::i32, in_block->columns, index, e.lanes());
    }
    Value *at = e.muladd(word, e.i64(spec.n_block), e.b.CreateAdd(at_column, e.i64(c * e.lanes())));
    Value *words = e.load(Type::i32, panel, at, e.lanes());
    // Loads the words again for the second half: keeping them in registers would spill sums.
    const int sums = rows * vectors * (isI4() ? bytes : 1);
    if (half == 1 && rows > 1 && sums > mostSumsBesideWords(e))
      llvm::cast<llvm::LoadInst>(words)->setVolatile(true);
    return halfOf(e, spec.w, words, half);
  }
  /// The integers of a that belong to that half, in each lane: two 16-bit numbers, or four bytes of plane `plane`.
  Value *numbers(int r, Value *k, int half, int plane) const {
    Value *at = isI4() ? e.b.CreateAdd(k, e.i64(plane * layout.padded() + 4 * half))
                       : e.b.CreateAdd(e.b.CreateMul(k, e.i64(2)), e.i64(4 * half));
    return e.splat(e.load(Type::i32, e.address(Type::i8, numbers_of_a[size_t(r)], at), e.i64(0)), e.lanes());
  }

  /// acc[plane][r][c] plus the products of one word's rows, from row k on. Sums of i4 are 16 bits wide.
  Values step(const Values &acc, Value *k, Value *at_column) const {
    const int planes = isI4() ? bytes : 1;
    Values next = acc;
    auto add = [&](int plane, int r, int c, Value *w, Value *x) {
      Value *&sum = next[(plane * rows + r) * vectors + c];
      sum = isI4() ? e.b.CreateAdd(sum, e.dotBytePairs(w, x)) : e.dotWords(sum, w, x);
    };
    if (rows == 1) { // integers of a stay in registers; each weight is loaded once
      Values x;
      for (int half = 0; half < 2; ++half)
        for (int plane = 0; plane < planes; ++plane) x.push_back(numbers(0, k, half, plane));
      for (int c = 0; c < vectors; ++c)
        for (int half = 0; half < 2; ++half) {
          Value *w = weight(k, at_column, c, half);
          for (int plane = 0; plane < planes; ++plane) add(plane, 0, c, w, x[half * planes + plane]);
        }
      return next;
    }
    for (int half = 0; half < 2; ++half) {
      Values w;
      for (int c = 0; c < vectors; ++c) w.push_back(weight(k, at_column, c, half));
      for (int plane = 0; plane < planes; ++plane)
        for (int r = 0; r < rows; ++r) {
          Value *x = numbers(r, k, half, plane);
          for (int c = 0; c < vectors; ++c) add(plane, r, c, w[size_t(c)], x);
        }
    }
    return next;
  }
  /// step() for rows [from, from + count).
  Values steps(const Values &acc, Value *from, Value *count, Value *at_column) const {
    return e.loop(from, e.b.CreateAdd(from, count), depth(), acc,
                  [&](Value *k, const Values &now) { return step(now, k, at_column); });
  }

  /// Adds 16-bit sums to 32-bit sums. If `joint`, both planes share a sum, and those of the high bytes are multiplied
  /// by 2^8. Sums of section `number` are multiplied by the section's power of two.
  Values widened(const Values &wide, const Values &narrow, bool joint, Value *number) const {
    Values next = wide;
    const int count = rows * vectors;
    for (int plane = 0; plane < bytes; ++plane) {
      const uint32_t factor = joint && bytes == 2 && plane == 0 ? 256 : 1;
      Value *factors = e.splat(e.b.getInt32(factor << 16 | factor), e.lanes());
      for (int i = 0; i < count; ++i) {
        if (hasExponents()) factors = e.splat(wordOf(Type::i32, i / vectors, number, 0), e.lanes());
        Value *&sum = next[(joint ? 0 : plane * count) + i];
        sum = e.dotWords(sum, narrow[plane * count + i], factors);
      }
    }
    return next;
  }

  /// Sums over rows [from, from + count), which are section `number`, as floats.
  Values sectionSums(Value *number, Value *from, int64_t count, Value *at_column) const {
    return isI4() ? sectionOfI4(number, from, count, at_column) : sectionOfI8(from, count, at_column);
  }
  Values sectionOfI4(Value *number, Value *from, int64_t count, Value *at_column) const {
    const bool joint = bytes == 1 || count <= kSmallGroup;
    Values wide;
    for (int plane = 0; plane < (joint ? 1 : 2); ++plane)
      for (int r = 0; r < rows; ++r) wide.append(vectors, startOf(r, number, plane, joint));
    const Values none(bytes * rows * vectors, zero(16));
    const int64_t main = count / kNarrow * kNarrow;
    auto part = [&](Value *k, int64_t size, const Values &now) {
      return widened(now, steps(none, k, e.i64((size + 7) / 8 * 8), at_column), joint, number);
    };
    if (main == kNarrow)
      wide = part(from, kNarrow, wide);
    else
      wide = e.loop(e.i64(0), e.i64(main), kNarrow, wide,
                    [&](Value *k, const Values &now) { return part(e.b.CreateAdd(from, k), kNarrow, now); });
    if (count > main) wide = part(e.b.CreateAdd(from, e.i64(main)), count - main, wide);
    Values sums;
    const int size = rows * vectors;
    for (int i = 0; i < size; ++i)
      sums.push_back(joint ? real(wide[i])
                           : e.fma(real(wide[i]), e.f32(256, e.lanes()), real(wide[size + i])));
    return sums;
  }
  bool hasExponents() const { return layout.hasExponents(bytes); }
  /// Word `at` of section `number` of row r, see IntegerRows.
  Value *wordOf(Type type, int r, Value *number, int64_t at) const {
    Value *index = e.muladd(number, e.i64(IntegerRows::kSectionWords), e.i64(layout.sumsAt() / 4 + at));
    return e.load(type, rows_of_a[size_t(r)], index);
  }
  /// The first value of sums of i4: -8 times the sum of the row, or 0 for unsigned weights.
  Value *startOf(int r, Value *number, int plane, bool joint) const {
    if (spec.asymmetric) return zero();
    if (hasExponents()) return e.splat(wordOf(Type::i32, r, number, 1), e.lanes());
    return e.splat(rowSum(r, number, plane, joint), e.lanes());
  }
  /// A section's sum of a plane of row r, as IntegerRows stores it. If `joint`, the sum of both planes as one number.
  Value *rowSum(int r, Value *number, int plane, bool joint) const {
    auto sumAt = [&](int of_plane) { return wordOf(Type::i32, r, number, of_plane); };
    if (!joint || bytes == 1) return sumAt(plane);
    return e.b.CreateAdd(e.b.CreateShl(sumAt(0), 8), sumAt(1));
  }
  /// The sum of a row's integers in a section of `count` rows of w. It multiplies the minima.
  Value *rowTotal(int r, Value *number, int64_t count) const {
    if (hasExponents()) return e.splat(wordOf(Type::f32, r, number, 1), e.lanes());
    const bool joint = bytes == 1 || count <= kSmallGroup;
    Value *sum = real(rowSum(r, number, 0, joint));
    if (!joint) sum = e.fma(sum, e.f32(256), real(rowSum(r, number, 1, joint)));
    return e.splat(sum, e.lanes());
  }
  Values sectionOfI8(Value *from, int64_t count, Value *at_column) const {
    const int size = rows * vectors;
    const Values none(size, zero());
    Values sums;
    if (bytes == 1 || count <= kWide) {
      for (Value *sum : steps(none, from, e.i64((count + 3) / 4 * 4), at_column)) sums.push_back(real(sum));
      return sums;
    }
    auto add = [&](const Values &halves, Value *k, int64_t rows_of_w) {
      return splitSums(halves, steps(none, k, e.i64((rows_of_w + 3) / 4 * 4), at_column));
    };
    const int64_t main = count / kWide * kWide;
    Values halves =
        e.loop(e.i64(0), e.i64(main), kWide, Values(2 * size, zero()),
               [&](Value *k, const Values &now) { return add(now, e.b.CreateAdd(from, k), kWide); });
    if (count > main) halves = add(halves, e.b.CreateAdd(from, e.i64(main)), count - main);
    return joined(halves);
  }
  /// Adds `sums` of up to kWide rows to `halves`: the high halves of the sums, then the low ones. A total is 2^16 high
  /// + low.
  Values splitSums(const Values &halves, const Values &sums) const {
    Values next;
    for (size_t i = 0; i < sums.size(); ++i)
      next.push_back(e.b.CreateAdd(halves[i], e.b.CreateAShr(sums[i], 16)));
    for (size_t i = 0; i < sums.size(); ++i) {
      Value *low = e.b.CreateAnd(sums[i], e.splat(e.b.getInt32(0xffff), e.lanes()));
      next.push_back(e.b.CreateAdd(halves[sums.size() + i], low));
    }
    return next;
  }
  Values joined(const Values &halves) const {
    Values sums;
    const size_t size = halves.size() / 2;
    for (size_t i = 0; i < size; ++i)
      sums.push_back(e.fma(real(halves[i]), e.f32(65536, e.lanes()), real(halves[size + i])));
    return sums;
  }

  Value *real(Value *integer) const {
    return e.b.CreateSIToFP(integer, e.floatType(Emitter::lanesOf(integer)));
  }
  /// Row `row` of the scales.
  Value *scaleOf(Value *row, Value *at_column, int c) const {
    Value *in_row = e.b.CreateAdd(at_column, e.i64(c * e.lanes()));
    return e.load(Type::f32, scale, e.muladd(row, e.i64(spec.n_block), in_row), e.lanes());
  }
  Value *factorOf(int r) const {
    return e.splat(e.load(Type::f32, rows_of_a[size_t(r)], e.i64(layout.factorAt() / 4)), e.lanes());
  }
  Value *inScratch(int r, int c, Value *at_column) const {
    Value *at = e.b.CreateAdd(at_column, e.i64(r * spec.n_block + c * e.lanes()));
    return scratch_row ? e.muladd(scratch_row, e.i64(spec.n_block), at) : at;
  }
  /// Calls body(r, c, index in the scratch) for each row and vector of columns from at_column on.
  void forSums(Value *at_column, llvm::function_ref<void(int, int, Value *)> body) const {
    for (int r = 0; r < rows; ++r)
      for (int c = 0; c < vectors; ++c) body(r, c, inScratch(r, c, at_column));
  }

  /// Calls body(first column) for all columns that this tile writes, `vectors` vectors at a time.
  void forWritten(llvm::function_ref<void(Value *)> body) const {
    if (in_block) return body(column);
    e.loop(e.i64(0), e.i64(spec.n_block), vectors * e.lanes(), body);
  }

  /// The row of scales of section `number`. Without groups of w there is one row.
  Value *scaleRow(Value *number) const {
    if (!spec.group) return e.i64(0);
    Value *group = e.b.CreateUDiv(number, e.i64(spec.group / layout.section(bytes)));
    return spec.asymmetric ? e.b.CreateMul(group, e.i64(2)) : group;
  }
  /// Adds the products of section `number`, rows [from, from + count) of what the tile reads, to the scratch.
  void addSection(Value *number, Value *from, int64_t count) const {
    auto add = [&](Value *at_column) {
      const Values sums = sectionSums(number, from, count, at_column);
      Value *row = scaleRow(number);
      forSums(at_column, [&](int r, int c, Value *at) {
        Value *before = e.load(Type::f32, scratch, at, e.lanes()), *sum = sums[r * vectors + c];
        sum = scalesAtEnd() ? e.b.CreateFAdd(sum, before) : e.fma(sum, scaleOf(row, at_column, c), before);
        if (spec.asymmetric)
          sum = e.fma(rowTotal(r, number, count), scaleOf(e.b.CreateAdd(row, e.i64(1)), at_column, c), sum);
        e.store(Type::f32, scratch, at, sum);
      });
    };
    forWritten(add);
  }
  /// Whether the one scale of a column multiplies the sum of all sections.
  bool scalesAtEnd() const { return hasExponents() && !spec.group; }
  void prefetchSection(Value *from, int64_t count) const {
    if (in_block) {
      Value *end = e.b.CreateUDiv(e.b.CreateAdd(from, e.i64(count)), in_block->chunk);
      e.loop(e.b.CreateUDiv(from, in_block->chunk), end, 1,
             [&](Value *chunk) { prefetchNext(e, *in_block, chunk); });
    } else if (alone) {
      const int64_t bytes = spec.n_block * 4 / depth();
      Value *here = e.address(Type::i8, panel, e.muladd(from, e.i64(bytes), e.i64(kFarAhead)));
      e.loop(e.i64(0), e.i64(count * bytes), kLine,
             [&](Value *at) { e.prefetch(e.address(Type::i8, here, at)); });
    }
  }
  /// Computes the sums of all sections of the tile's rows in the scratch.
  void writeSections() const {
    const int64_t size = layout.section(bytes), rest = spec.k % size;
    Value *first = e.b.CreateUDiv(firstRow(), e.i64(size));
    Value *count = in_block ? in_block->count : e.i64(spec.k);
    e.ifThen(e.b.CreateICmpEQ(firstRow(), e.i64(0)), [&] {
      forWritten([&](Value *at_column) {
        forSums(at_column,
                [&](int, int, Value *at) { e.store(Type::f32, scratch, at, e.f32(0, e.lanes())); });
      });
    });
    e.loop(e.i64(0), e.b.CreateUDiv(count, e.i64(size)), 1, [&](Value *number) {
      Value *from = e.b.CreateMul(number, e.i64(size));
      prefetchSection(from, size);
      addSection(e.b.CreateAdd(first, number), from, size);
    });
    e.ifThen(e.b.CreateICmpEQ(e.b.CreateAdd(firstRow(), count), e.i64(spec.k)), [&] {
      if (rest) addSection(e.i64(spec.k / size), e.b.CreateSub(count, e.i64(rest)), rest);
      forWritten([&](Value *at_column) {
        forSums(at_column, [&](int r, int c, Value *at) {
          Value *sum = e.load(Type::f32, scratch, at, e.lanes());
          if (scalesAtEnd()) sum = e.b.CreateFMul(sum, scaleOf(e.i64(0), at_column, c));
          e.store(Type::f32, scratch, at, e.b.CreateFMul(sum, factorOf(r)));
        });
      });
    });
  }

  /// Writes sums over all of w, as floats, multiplied by scale and by the row's unit.
  void writeSums(const Values &sums) const {
    forSums(column, [&](int r, int c, Value *at) {
      Value *scaled = e.b.CreateFMul(sums[r * vectors + c], scaleOf(e.i64(0), column, c));
      e.store(Type::f32, scratch, at, e.b.CreateFMul(scaled, factorOf(r)));
    });
  }
  void write() const {
    if (sumsSections(spec, bytes)) return writeSections();
    writeSums(sectionOfI8(e.i64(0), spec.k, column));
  }
  /// Adds a block's products. Until the last block the scratch holds integers: sums, or their high halves and, after
  /// them, low halves.
  void writeBlock() const {
    if (sumsSections(spec, bytes)) return writeSections();
    const int size = rows * vectors, halves = bytes;
    auto halfAt = [&](Value *at, int half) {
      return e.b.CreateAdd(at, e.i64(half * kBlockRows * spec.n_block));
    };
    Values begun(size * halves, zero());
    Value *is_first = e.b.CreateICmpEQ(in_block->k0, e.i64(0));
    for (int half = 0; half < halves; ++half)
      forSums(column, [&](int r, int c, Value *at) {
        Value *&sum = begun[half * size + r * vectors + c];
        Value *before = e.load(Type::i32, scratch, halfAt(at, half), e.lanes());
        sum = e.b.CreateSelect(is_first, sum, before);
      });
    Value *count = in_block->count, *chunk = in_block->chunk;
    Value *chunks = e.b.CreateUDiv(e.b.CreateSub(e.b.CreateAdd(count, chunk), e.i64(1)), chunk);
    const Values none(size, zero());
    Values all =
        e.loop(e.i64(0), chunks, 1, bytes == 1 ? begun : none, [&](Value *number, const Values &now) {
          prefetchNext(e, *in_block, number);
          Value *from = e.b.CreateMul(number, chunk);
          return steps(now, from, e.min(e.b.CreateSub(count, from), chunk), column);
        });
    if (bytes == 2) all = splitSums(begun, all);
    Value *is_last = e.b.CreateICmpEQ(e.b.CreateAdd(in_block->k0, in_block->count), e.i64(spec.k));
    e.ifElse(
        is_last,
        [&] {
          Values sums;
          for (Value *sum : bytes == 1 ? all : Values()) sums.push_back(real(sum));
          writeSums(bytes == 1 ? sums : joined(all));
        },
        [&] {
          for (int half = 0; half < halves; ++half)
            forSums(column, [&](int r, int c, Value *at) {
              e.store(Type::i32, scratch, halfAt(at, half), all[half * size + r * vectors + c]);
            });
        });
  }
};

PairTile tileOf(const PackedItem &item, const PackedTile &tile, const BlockTile *in_block) {
  Emitter &e = item.e;
  PairTile sums{item, tile, item.spec.integerRows(), in_block};
  const int64_t bytes = item.spec.w == Type::i4 ? 1 : 2; // bytes of an integer in a plane
  for (Value *row : rowsOf(item, tile)) {
    Value *address = e.address(Type::i8, item.a, e.b.CreateMul(row, e.i64(sums.layout.bytes())));
    sums.rows_of_a.push_back(address);
    sums.numbers_of_a.push_back(e.address(Type::i8, address, e.b.CreateMul(sums.firstRow(), e.i64(bytes))));
  }
  return sums;
}

} // namespace

void pairSums(const PackedItem &item, const PackedTile &tile) { tileOf(item, tile, nullptr).write(); }
void integerBlockSums(const PackedItem &item, const BlockTile &in_block) {
  tileOf(item, in_block.tile, &in_block).writeBlock();
}

void expandIntegers(const PackedItem &item, const BlockShape &shape, Value *k0, Value *count) {
  Emitter &e = item.e;
  const PackedMatmulSpec &spec = item.spec;
  const int64_t lanes = e.lanes(), deep = spec.interleave();
  e.loop(e.i64(0), count, deep, [&](Value *k) {
    Value *from = e.b.CreateMul(e.b.CreateUDiv(e.b.CreateAdd(k0, k), e.i64(deep)), e.i64(spec.n_block));
    Value *to = e.b.CreateMul(e.b.CreateUDiv(k, e.i64(deep)), e.i64(2 * shape.vectors * lanes));
    for (int64_t c = 0; c < spec.n_block / lanes; ++c) {
      Value *words = e.load(Type::i32, item.panel, e.b.CreateAdd(from, e.i64(c * lanes)), int(lanes));
      Value *even = halfOf(e, spec.w, words, 0), *odd = halfOf(e, spec.w, words, 1);
      const int64_t at = c / shape.vectors * shape.stride / 4 + c % shape.vectors * lanes;
      e.store(Type::i32, item.block, e.b.CreateAdd(to, e.i64(at)), even);
      e.store(Type::i32, item.block, e.b.CreateAdd(to, e.i64(at + shape.vectors * lanes)), odd);
    }
  });
}

} // namespace linnet::cpu
