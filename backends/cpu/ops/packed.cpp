// Matmuls with a weight in panels: work items, tiles of rows, epilogue.
#include "backends/cpu/ops/packed.h"

#include <fmt/format.h>

namespace linnet::cpu {
namespace {

/// bytes of a slice; a slice, the next slice and rows of a fit the second-level cache
constexpr int64_t kSlice = 96 << 10;
constexpr int64_t kSlicedRows = 264; ///< rows of a whose sums are kept from slice to slice
constexpr int64_t kWord = 4;         ///< bytes of a word; a word holds the interleaved rows of a column

/// Tiles prefetch every n-th line of the next panel, or none. If the kernel is memory-bound, every line is too many:
/// the processor prefetches the lines between.
enum Fetched : int64_t { kNone = 0, kEach = 1, kFourth = 4 };

/// Whether sums, group sums, weights, a broadcast and constants fit the registers.
bool fitsRegisters(const Emitter &e, const PackedMatmulSpec &spec, int rows, int vectors, int bytes) {
  if (!spec.scaled()) return rows * vectors <= e.isa.registers - 4;
  if (!e.isa.vnni) return rows * vectors * (spec.w == Type::i4 ? bytes : 1) <= e.isa.registers - 4;
  const int sums = rows * (bytes + spec.addsSections(bytes)), quads = int(spec.interleave()) / 4;
  return (sums + quads) * vectors + 3 <= e.isa.registers;
}

int vectorsOf(const Emitter &e, const PackedMatmulSpec &spec, int rows, int bytes) {
  int vectors = int(spec.n_block) / e.lanes();
  while (vectors > 1 && !fitsRegisters(e, spec, rows, vectors, bytes)) vectors /= 2;
  return vectors;
}

/// Whether tiles of kTallRows rows are more than one vector wide.
bool hasTall(const Emitter &e, const PackedMatmulSpec &spec) {
  return !spec.scaled() && vectorsOf(e, spec, kTallRows, 0) > 1;
}

/// The number of slices, each of at most kSlice bytes, that tall tiles read w's rows in.
int64_t slicesOf(const Emitter &e, const PackedMatmulSpec &spec) {
  if (!hasTall(e, spec) || spec.w != Type::f32) return 1; // narrower types gain nothing from slices
  const int64_t bytes = spec.k * vectorsOf(e, spec, kTallRows, 0) * e.lanes() * sizeOf(spec.w);
  for (int64_t slices = (bytes + kSlice - 1) / kSlice; slices <= 16; ++slices)
    if (spec.k % (16 * slices) == 0) return slices;
  return 1;
}

/// Whether integers are summed as pairs of products instead of four.
bool sumsPairs(const Emitter &e, const PackedMatmulSpec &spec) { return spec.scaled() && !e.isa.vnni; }

/// Multiplies all rows of a by one panel.
struct PanelLoop {
  const PackedItem &item;
  Emitter &e = item.e;
  const PackedMatmulSpec &spec = item.spec;
  Value *m = item.m;
  int bytes = item.bytes;

  void compute(const PackedTile &tile) const {
    if (!spec.scaled()) floatSums(item, tile);
    if (spec.scaled() && e.isa.vnni) integerSums(item, tile);
    if (!sumsPairs(e, spec)) return epilogue(item, tile);
    pairSums(item, tile);
    PackedTile written = tile;
    if (sumsSections(spec, bytes)) written.vectors = int(spec.n_block) / e.lanes();
    epilogue(item, written);
  }
  /// Whether tiles with that many vectors read every line of the panel in order.
  bool readsWhole(int vectors) const {
    return vectors * e.lanes() == spec.n_block || (sumsPairs(e, spec) && sumsSections(spec, bytes));
  }
  void forColumns(int vectors, llvm::function_ref<void(Value *)> body) const {
    if (readsWhole(vectors)) return body(e.i64(0));
    e.loop(e.i64(0), e.i64(spec.n_block), vectors * e.lanes(), body);
  }
  /// Computes one or two rows as one tile. It reads the panel once if its sums fit the registers.
  void oneTile(int rows) const {
    const int vectors = vectorsOf(e, spec, rows, bytes);
    // Prefetches gained nothing for i8 and for two rows.
    const bool alone = rows == 1 && readsWhole(vectors) && spec.w != Type::i8;
    forColumns(vectors, [&](Value *column) {
      compute({rows, vectors, e.i64(0), column, e.i64(rows), nullptr, nullptr, alone});
    });
  }

  /// Computes all rows for one part of the panel's columns after another.
  void manyTiles(int most, Fetched lines) const {
    const int vectors = vectorsOf(e, spec, most, bytes);
    forColumns(vectors, [&](Value *column) {
      forTiles(e, most, m, [&](int rows, Value *row0, Value *number, Value *of) {
        Value *exist = e.b.CreateSub(m, row0);
        compute({rows, vectors, row0, column, exist, lines ? number : nullptr, of, false, lines});
      });
    });
  }

  /// For a part of the panel that would fill the second-level cache. Multiplies up to kSlicedRows rows of a by one
  /// slice of the part's rows, then by the next slice.
  void slicedTiles(int most, int64_t slices) const {
    const int vectors = vectorsOf(e, spec, most, bytes);
    forColumns(vectors, [&](Value *column) {
      forRowBlocks(e, m, kSlicedRows, [&](Value *begin, Value *rows) {
        e.loop(e.i64(0), e.i64(slices), 1, [&](Value *slice) {
          forTiles(e, most, rows, [&](int size, Value *row, Value *number, Value *of) {
            const PackedTile tile{size,
                                  vectors,
                                  e.b.CreateAdd(begin, row),
                                  column,
                                  e.b.CreateSub(rows, row),
                                  number,
                                  of,
                                  false,
                                  kEach,
                                  slices,
                                  slice,
                                  row};
            floatSums(item, tile);
            e.ifThen(e.b.CreateICmpEQ(slice, e.i64(slices - 1)), [&] { epilogue(item, tile); });
          });
        });
      });
    });
  }

  /// With few rows the kernel is memory-bound: wide tiles read w in the order of memory.
  void wideOrTall() const {
    if (!hasTall(e, spec)) return manyTiles(kWideRows, kEach);
    // narrower types gain nothing from prefetches, or lose
    const Fetched few = spec.w == Type::f32 ? kFourth : kNone;
    e.ifElse(
        e.b.CreateICmpSGT(m, e.i64(kTallRows)),
        [&] {
          if (const std::optional<BlockShape> shape = blockShape(e, spec)) return blockedTiles(item, *shape);
          const int64_t slices = slicesOf(e, spec);
          slices > 1 ? slicedTiles(kTallRows, slices) : manyTiles(kTallRows, kEach);
        },
        [&] { manyTiles(kWideRows, few); });
  }
  /// Computes any number of rows in tiles that read all rows of the panel.
  void direct() const {
    if (bytes == 1 && spec.int8_rows > 2) return wideOrTall();
    oneOrTwo();
    e.ifThen(e.b.CreateICmpSGT(m, e.i64(2)), [&] { wideOrTall(); });
  }
  void oneOrTwo() const {
    for (int rows : {1, 2}) e.ifThen(e.b.CreateICmpEQ(m, e.i64(rows)), [&] { oneTile(rows); });
  }
  /// Computes any number of rows of floats. One row gains nothing from blocks.
  void blockedFloats(const BlockShape &shape) const {
    e.ifThen(e.b.CreateICmpEQ(m, e.i64(1)), [&] { oneTile(1); });
    e.ifThen(e.b.CreateICmpEQ(m, e.i64(2)), [&] { blockedTiles(item, shape.ofTwoRows(e, spec)); });
    e.ifThen(e.b.CreateICmpSGT(m, e.i64(2)), [&] { blockedTiles(item, shape); });
  }
  void blockedIntegers(const BlockShape &shape) const {
    if (bytes == 2 && spec.w == Type::i4) return direct(); // the sums of two planes do not fit the registers
    if (bytes == 1 && spec.int8_rows >= shape.fewestRows()) return blockedTiles(item, shape);
    e.ifElse(
        e.b.CreateICmpSGE(m, e.i64(shape.fewestRows())), [&] { blockedTiles(item, shape); },
        [&] { shape.fewestRows() > 3 ? direct() : oneOrTwo(); });
  }
  void run() const {
    const std::optional<BlockShape> shape = blockShape(e, spec);
    // Tall tiles need blocks only where there are many rows.
    if (!shape || (!spec.scaled() && hasTall(e, spec))) return direct();
    spec.scaled() ? blockedIntegers(*shape) : blockedFloats(*shape);
  }
};

/// Multiplies all rows by the panels [begin, end). `of` is a PackedItem without its panel.
void allPanels(const PackedItem &of) {
  Emitter &e = of.e;
  const PackedMatmulSpec &spec = of.spec;
  const int64_t panel_bytes = spec.panelBytes();
  e.loop(e.begin, e.end, 1, [&](Value *number) {
    PackedItem item = of;
    item.panel = e.address(Type::i8, e.arg(1), e.b.CreateMul(number, e.i64(panel_bytes)));
    if (spec.scaled())
      item.scale =
          e.address(Type::f32, e.arg(5), e.b.CreateMul(number, e.i64(spec.scaleRows() * spec.n_block)));
    item.column0 = e.b.CreateMul(number, e.i64(spec.n_block));
    PanelLoop{item}.run();
  });
}

int64_t scratchRows(const Emitter &e, const PackedMatmulSpec &spec) {
  if (blockShape(e, spec)) return spec.w == Type::i8 ? 2 * kBlockRows : kBlockRows;
  return slicesOf(e, spec) > 1 ? kSlicedRows : kTallRows;
}

void emitPackedMatmul(Emitter &e, const PackedMatmulSpec &spec) {
  Value *m = e.extent(Extent::symbol(0)); // dims {m}
  PackedItem item{e, spec, e.arg(0), nullptr, nullptr, nullptr, m, nullptr, 2};
  item.scratch = e.scratch(scratchRows(e, spec) * spec.n_block);
  if (const std::optional<BlockShape> shape = blockShape(e, spec)) {
    if (spec.scaled()) item.block = e.scratch(shape->bytes() / 4);
    if (copiesRows(e, spec)) item.widened = e.scratch(kBlockRows * shape->widenedRow());
  }
  // Exponents are in the words of 16 bits that i8 is multiplied by without VNNI.
  const bool words = spec.w == Type::i8 && !e.isa.vnni && spec.int8_group;
  if (spec.int8_rows == 0 || words) return allPanels(item);
  PackedItem of_bytes = item;
  of_bytes.bytes = 1;
  if (spec.int8_rows == 1) return allPanels(of_bytes);
  Value *many = e.b.CreateICmpSGE(m, e.i64(spec.int8_rows));
  e.ifElse(
      many, [&] { allPanels(of_bytes); }, [&] { allPanels(item); });
}

} // namespace

void epilogue(const PackedItem &item, const PackedTile &tile) {
  Emitter &e = item.e;
  const PackedMatmulSpec &spec = item.spec;
  Value *bias = spec.bias ? e.arg(2) : nullptr, *residual = spec.residual ? e.arg(3) : nullptr,
        *out = e.arg(4);
  Value *first = e.b.CreateAdd(item.column0, tile.column);
  // 0 if the tile is beyond the last column of w
  Value *exist = e.max(e.b.CreateSub(e.i64(spec.n), first), e.i64(0));
  Value *count = e.min(e.i64(tile.vectors * e.lanes()), exist);
  e.loop(e.i64(0), e.min(tile.exist, e.i64(tile.rows)), 1, [&](Value *r) {
    Value *row = e.muladd(e.b.CreateAdd(tile.row0, r), e.i64(spec.n), first);
    e.forVectors(e.i64(0), count, [&](Value *c, int lanes) {
      Value *scratch_row = tile.scratch_row ? e.b.CreateAdd(tile.scratch_row, r) : r;
      Value *in_scratch = e.muladd(scratch_row, e.i64(spec.n_block), e.b.CreateAdd(tile.column, c));
      Value *x = e.load(Type::f32, item.scratch, in_scratch, lanes);
      if (bias) x = e.b.CreateFAdd(x, e.load(spec.bias_type, bias, e.b.CreateAdd(first, c), lanes));
      x = e.activate(spec.activation, x);
      Value *at = e.b.CreateAdd(row, c);
      if (residual) x = e.b.CreateFAdd(x, e.load(spec.out, residual, at, lanes));
      e.store(spec.out, out, at, x);
    });
  });
}

void forTiles(Emitter &e, int most, Value *rows,
              llvm::function_ref<void(int, Value *, Value *, Value *)> body) {
  Value *pairs = e.b.CreateUDiv(e.b.CreateAdd(rows, e.i64(1)), e.i64(2));
  Value *tiles = e.b.CreateUDiv(e.b.CreateAdd(pairs, e.i64(most / 2 - 1)), e.i64(most / 2));
  Value *each = e.b.CreateUDiv(pairs, tiles), *longer = e.b.CreateURem(pairs, tiles);
  for (int size = (most / 2 + 1) / 2; size <= most / 2; ++size) {
    // The first `longer` tiles have one more pair of rows.
    Value *among_longer = e.b.CreateICmpEQ(each, e.i64(size - 1));
    Value *among_rest = e.b.CreateICmpEQ(each, e.i64(size));
    Value *first = e.b.CreateSelect(among_longer, e.i64(0), longer);
    Value *end = e.b.CreateSelect(among_longer, longer, e.b.CreateSelect(among_rest, tiles, first));
    e.loop(first, end, 1, [&](Value *number) {
      body(2 * size, e.b.CreateMul(e.muladd(number, e.i64(size), first), e.i64(2)), number, tiles);
    });
  }
}

void forRowBlocks(Emitter &e, Value *m, int64_t most, llvm::function_ref<void(Value *, Value *)> body) {
  Value *blocks = e.b.CreateUDiv(e.b.CreateAdd(m, e.i64(most - 1)), e.i64(most));
  e.loop(e.i64(0), blocks, 1, [&](Value *number) {
    Value *each = e.b.CreateUDiv(m, blocks), *longer = e.b.CreateURem(m, blocks);
    Value *is_longer = e.b.CreateZExt(e.b.CreateICmpULT(number, longer), e.b.getInt64Ty());
    body(e.muladd(number, each, e.min(number, longer)), e.b.CreateAdd(each, is_longer));
  });
}

Values rowsOf(const PackedItem &item, const PackedTile &tile) {
  Emitter &e = item.e;
  Values rows;
  for (int r = 0; r + 1 < tile.rows; ++r) rows.push_back(e.b.CreateAdd(tile.row0, e.i64(r)));
  Value *last = e.min(e.i64(tile.rows), tile.exist);
  rows.push_back(e.b.CreateAdd(tile.row0, e.b.CreateSub(last, e.i64(1))));
  return rows;
}

void FetchAhead::step(Emitter &e, Value *number) const {
  if (!from) return;
  Value *row = e.b.CreateLShr(e.b.CreateMul(number, rate), 16);
  Value *at = e.address(Type::i8, from, e.b.CreateMul(row, e.i64(stride)));
  for (int64_t line = 0; line < bytes; line += lines * kLine)
    e.prefetch(e.address(Type::i8, at, e.i64(line)));
}

FetchAhead fetchAhead(const PackedItem &item, const PackedTile &tile, int64_t steps) {
  Emitter &e = item.e;
  const PackedMatmulSpec &spec = item.spec;
  if (steps && tile.alone) {
    const int64_t step = spec.panelBytes() / steps / kLine * kLine;
    return {e.address(Type::i8, item.panel, e.i64(kFarAhead)), e.i64(1 << 16), step, step};
  }
  if (steps == 0 || !tile.number) return {};
  const int64_t stride = spec.n_block * kWord, bytes = int64_t(tile.vectors) * e.lanes() * kWord;
  const int64_t rows = spec.panelBytes() / stride / tile.slices;
  Value *share = e.b.CreateUDiv(e.b.CreateAdd(e.i64(rows - 1), tile.of), tile.of);
  share = e.min(share, e.i64(steps)); // few tiles do not prefetch the whole next part
  // The next part of this panel, or the first part of the next panel.
  Value *next = e.b.CreateAdd(e.b.CreateMul(tile.column, e.i64(kWord)), e.i64(bytes));
  next = e.b.CreateSelect(e.b.CreateICmpEQ(next, e.i64(stride)), e.i64(spec.panelBytes()), next);
  if (tile.slice) {
    Value *number = e.b.CreateAdd(tile.slice, e.i64(1)), *here = e.b.CreateMul(tile.column, e.i64(kWord));
    Value *behind = e.muladd(number, e.i64(rows * stride), here);
    next = e.b.CreateSelect(e.b.CreateICmpEQ(number, e.i64(tile.slices)), next, behind);
  }
  Value *from = e.muladd(e.b.CreateMul(tile.number, share), e.i64(stride), next);
  Value *rate = e.b.CreateUDiv(e.b.CreateShl(share, 16), e.i64(steps));
  return {e.address(Type::i8, item.panel, from), rate, stride, bytes, tile.lines};
}

KernelSource packedMatmulKernel(const PackedMatmulSpec &spec) {
  std::string name = fmt::format("matmul_{}_panel{}x{}", nameOf(spec.w), spec.k_block, spec.n_block);
  if (spec.a != Type::f32 || spec.out != Type::f32)
    name += fmt::format("_{}to{}", nameOf(spec.a), nameOf(spec.out));
  if (spec.bias)
    name += spec.bias_type == Type::f32 ? "_bias" : fmt::format("_bias{}", nameOf(spec.bias_type));
  name += suffixOf(spec.activation);
  name += fmt::format("{}_k{}_n{}", spec.residual ? "_residual" : "", spec.k, spec.n);
  if (!spec.scaled() && spec.a_stride != spec.k) name += fmt::format("_lda{}", spec.a_stride);
  if (spec.group) name += fmt::format("_group{}{}", spec.group, spec.asymmetric ? "_asymmetric" : "");
  if (spec.int8_rows) name += fmt::format("_bytes_from{}", spec.int8_rows);
  if (spec.int8_group) name += fmt::format("_by{}", spec.int8_group);
  return {name, [spec](Emitter &e) { emitPackedMatmul(e, spec); }};
}

} // namespace linnet::cpu
