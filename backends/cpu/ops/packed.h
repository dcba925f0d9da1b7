// Inside of the packed matmul kernels. Work items and epilogue: packed.cpp. Panels in blocks:
// packed_blocks.cpp. Sums of floats: packed_float.cpp. Sums of integers: packed_integer.cpp (VNNI),
// packed_pair.cpp (other processors).
#pragma once
#include "backends/cpu/emitter.h"
#include "backends/cpu/kernels.h"

namespace linnet::cpu {

constexpr int64_t kLine = 64;       ///< bytes of a cache line
constexpr int64_t kFarAhead = 4096; ///< bytes; distances of 1, 2, 8 and 16 KiB gained less

constexpr int kWideRows = 6; ///< most rows of a tile that is as wide as a panel
/// most rows of a tile half as wide; it reads half as many bytes of w for each product
constexpr int kTallRows = 12;

/// The arguments of a work item: one panel and all rows of a.
struct PackedItem {
  Emitter &e;
  const PackedMatmulSpec &spec;
  Value *a, *panel, *scale; ///< scale: of this panel, or null
  /// (rows, n_block) f32: the sums of a tile; of all tiles' rows with slices or blocks; twice that for i8
  Value *scratch;
  Value *m, *column0;     ///< m: rows of a; column0: the panel's first column of w
  int bytes;              ///< bytes of an integer of a: 2, or 1 if m >= int8_rows
  Value *block = nullptr; ///< BlockShape::bytes(): expanded integers of a block
  /// (kBlockRows, BlockShape::widenedRow()) f32: elements of a, if copiesRows()
  Value *widened = nullptr;
};

/// Most rows of a that are multiplied by a block before the next block. They and the block fit the second-level cache.
constexpr int64_t kBlockRows = 132;

/// Rows of i8 whose products, up to 32,512 * 128, fit a 32-bit sum. A block of i8 has at most as many rows.
constexpr int64_t kWide = 512;

/// Blocks of a panel's rows. A block stays in the first-level cache while all tiles read it, and the tiles prefetch the
/// next block. Floats are read from the panel. Integers are expanded once for all tiles: i8 to pairs of 16-bit numbers,
/// i4 to bytes. PackedItem::block holds them as [tiles of columns][rows of w][columns of a tile].
struct BlockShape {
  int64_t depth;     ///< most rows of w in a block, a multiple of 16 and of the group
  int rows, vectors; ///< most rows and vectors of a tile
  int64_t stride;    ///< bytes from a tile's columns to the next tile's columns in a block of integers
  int64_t parts;     ///< tiles across a panel's columns
  int64_t bytes() const { return parts * stride; }
  /// Elements from row to row of widened elements of a. The 16 extra elements put rows into different cache sets.
  int64_t widenedRow() const { return depth + 16; }
  /// The shape for two rows of floats: tiles have as many columns as fit the registers.
  BlockShape ofTwoRows(const Emitter &e, const PackedMatmulSpec &spec) const;
  /// The fewest rows that forTiles makes tiles of.
  int64_t fewestRows() const { return (rows / 2 + 1) / 2 * 2 - 1; }
};
/// Whether all rows of a begin in the same set of a first-level cache, and a tile has more rows than a set has lines.
bool rowsCollide(const Emitter &e, const PackedMatmulSpec &spec);
/// Whether blocks read copies of the rows of a: bf16 as f32, or rows that would collide.
inline bool copiesRows(const Emitter &e, const PackedMatmulSpec &spec) {
  return !spec.scaled() && (spec.a == Type::bf16 || rowsCollide(e, spec));
}
/// The shape of blocks, or null if the kernel reads panels directly at this level.
std::optional<BlockShape> blockShape(const Emitter &e, const PackedMatmulSpec &spec);

/// The most sums next to which words of w that two steps unpack stay in registers. With more sums a tile loads each
/// word twice.
inline int mostSumsBesideWords(const Emitter &e) { return e.isa.registers - 6; }

/// A tile of rows and columns, whose sums stay in registers. Several tiles read the same part of a panel from caches.
/// Each of them prefetches its share of the next part from memory.
struct PackedTile {
  int rows, vectors;    ///< rows of a, vectors of columns
  Value *row0, *column; ///< the tile's first row and column
  Value *exist;         ///< number of existing rows from row0 on; only the tile's last row may be missing
  /// index and count of the tiles that share a prefetch; null if there is none
  Value *number = nullptr, *of = nullptr;
  bool alone = false;           ///< the only tile, which reads every line of the panel in order
  int64_t lines = 1;            ///< the tile prefetches every n-th line of the next part
  int64_t slices = 1;           ///< number of slices of w's rows
  Value *slice = nullptr;       ///< index of the tile's slice; null if there is one slice only
  Value *scratch_row = nullptr; ///< the first row of the tile's sums in the scratch; null means 0
};

/// A tile that adds the products of one block to its sums.
struct BlockTile {
  const BlockShape &shape;
  PackedTile tile;
  Value *columns;    ///< integers: address of the tile's columns in the block
  Value *k0, *count; ///< the block's first row of w, and its number of rows
  Value *widened;    ///< copiesRows(): address of the tile's first copy of a row; null if a is read directly
  Value *next;       ///< address of the next block in the panels, which the tiles prefetch
  Value *chunk;      ///< rows of w that a tile multiplies between two prefetches
  /// first_chunk: index of the tile's first chunk; share: lines for each chunk, times 2^16
  Value *first_chunk, *share;
};
/// Prefetches the lines that belong to the tile's chunk number `chunk`.
void prefetchNext(Emitter &e, const BlockTile &tile, Value *chunk);

/// Whether sums of integers are scaled for each section and then added in the scratch (levels without VNNI).
inline bool sumsSections(const PackedMatmulSpec &spec, int bytes) {
  return spec.w == Type::i4 || spec.addsSections(bytes);
}

/// out = activation(scratch + bias) + residual for the existing rows and columns of a tile.
void epilogue(const PackedItem &item, const PackedTile &tile);
/// Splits `rows` of a into as few tiles of up to `most` rows as possible. Tile sizes differ by two, which halves the
/// number of sizes to generate code for. The last tile may lack a row. If there are fewer rows than the smallest size,
/// most / 4 pairs rounded up, there is no tile. Calls body(size, first row, index, count).
void forTiles(Emitter &e, int most, Value *rows,
              llvm::function_ref<void(int, Value *, Value *, Value *)> body);
/// Splits all rows of a into as few blocks of up to `most` rows as possible. Block sizes differ by one, so that several
/// blocks have at least most / 2 rows each, enough for tiles. Calls body(first row, rows).
void forRowBlocks(Emitter &e, Value *m, int64_t most, llvm::function_ref<void(Value *, Value *)> body);
/// Multiplies all rows of a by one panel, in blocks.
void blockedTiles(const PackedItem &item, const BlockShape &shape);

/// The rows of a that a tile reads. If the tile's last row is missing, the previous row takes its place.
Values rowsOf(const PackedItem &item, const PackedTile &tile);

/// Spreads prefetches of the next part of the weight evenly over the steps of a tile. A core has few outstanding lines,
/// so faster prefetches would delay the loads of this part. A tile that is alone prefetches the line at a fixed
/// distance, further than the processor prefetches.
struct FetchAhead {
  /// from: address of step 0, null for no prefetches; rate: rows for each step, times 2^16
  Value *from = nullptr, *rate = nullptr;
  int64_t stride = 0, bytes = 0; ///< stride: bytes between the begins of two rows; bytes: bytes of a row
  int64_t lines = 1;             ///< prefetch every n-th line
  void step(Emitter &e, Value *number) const;
};
/// The prefetches of a tile that has `steps` steps.
FetchAhead fetchAhead(const PackedItem &item, const PackedTile &tile, int64_t steps);

/// Writes a tile's sums, multiplied by their scales, into the item's scratch.
void floatSums(const PackedItem &item, const PackedTile &tile);
void integerSums(const PackedItem &item, const PackedTile &tile); ///< needs isa.vnni
/// integerSums without VNNI. With several sections, computes all columns of the panel, `tile.vectors` at a time.
void pairSums(const PackedItem &item, const PackedTile &tile);

/// Expands rows [k0, k0 + count) of the panel into the item's block.
void expandIntegers(const PackedItem &item, const BlockShape &shape, Value *k0, Value *count);
/// Adds a block's products to a tile's sums in the scratch. The last block completes the sums.
void floatBlockSums(const PackedItem &item, const BlockTile &tile);
void integerBlockSums(const PackedItem &item, const BlockTile &tile);

} // namespace linnet::cpu
