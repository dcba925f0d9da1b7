// Inside of the packed matmul kernels: what writes the sums of a tile of rows and one panel of columns.
// Frame and epilogue: packed_kernels.cpp; panels in blocks: packed_blocks.cpp; sums of floats:
// packed_float_kernel.cpp; sums of integers: packed_integer_kernel.cpp with VNNI, packed_pair_kernel.cpp
// without.
#pragma once
#include "backends/cpu/emitter.h"
#include "backends/cpu/kernels.h"

namespace linnet::cpu {

constexpr int64_t kLine = 64;       ///< bytes of a cache line
constexpr int64_t kFarAhead = 4096; ///< bytes; a distance of 1, 2, 8 or 16 KiB gains less

constexpr int kWideRows = 6;  ///< most of a tile as wide as a panel
constexpr int kTallRows = 12; ///< most of a tile half as wide, which reads half as many bytes of w a product

/// What a work item has at hand.
struct PackedItem {
  Emitter &e;
  const PackedMatmulSpec &spec;
  Value *a, *panel, *scale; ///< scale: of this panel, null without
  Value *scratch;           ///< (rows, n_block) f32; of slices and blocks, the rows of all tiles; i8: twice
  Value *m, *column0;       ///< rows of a; the panel's first column of w
  int bytes;                ///< per number of a next to integers: 2, or 1 from int8_rows rows on
  Value *block = nullptr;   ///< BlockShape::bytes(): integers of some rows of the panel, expanded
  Value *widened = nullptr; ///< (kBlockRows, BlockShape::widenedRow()) f32: numbers of a in bf16
};

/// Rows of a that are multiplied by a block before the next block: with it they fit the second-level cache.
constexpr int64_t kBlockRows = 132;

/// Rows of i8 whose products, up to 32,512 * 128, a sum of 32 bits holds; a block of i8 has no more.
constexpr int64_t kWide = 512;

/// Several rows of a read a panel in blocks of its rows, so that a block stays in the first-level cache while
/// all tiles read it, and the next block is prefetched. Floats are read where they lie in the panel. Integers
/// are expanded once for all tiles, i8 into pairs of 16-bit numbers, i4 into bytes, and lie in the item's block
/// as [tiles of columns][rows of w][columns of a tile].
struct BlockShape {
  int64_t depth;     ///< most rows of w, a multiple of 16 and of the group
  int rows, vectors; ///< of a tile, at most
  int64_t stride;    ///< of a block of integers, in bytes from the columns of one tile to those of the next
  int64_t parts;     ///< tiles across a panel's columns
  int64_t bytes() const { return parts * stride; }
  /// Elements from row to row of widened numbers of a, which then do not lie in the same sets of a cache.
  int64_t widenedRow() const { return depth + 16; }
  /// The shape of floats for two rows of a: tiles of as many columns as fit the registers.
  BlockShape ofTwoRows(const Emitter &e, const PackedMatmulSpec &spec) const;
  int64_t fewestRows() const { return (rows / 2 + 1) / 2 * 2 - 1; } ///< what forTiles makes tiles of
};
/// Null: the kernel reads panels directly at this level.
std::optional<BlockShape> blockShape(const Emitter &e, const PackedMatmulSpec &spec);

/// A tile with more sums has no registers for words of w that two steps unpack: it loads them twice.
inline int mostSumsBesideWords(const Emitter &e) { return e.isa.registers - 6; }

/// A tile of rows and columns: their sums stay in registers. While many tiles read a part of a panel again
/// and again, from the caches, each fetches its share of the next one from memory.
struct PackedTile {
  int rows, vectors;                      ///< of a, of columns
  Value *row0, *column;                   ///< where it begins
  Value *exist;                           ///< rows from row0 on; only the tile's last may be lacking
  Value *number = nullptr, *of = nullptr; ///< among the tiles that share; null: they do not
  bool alone = false;                     ///< the only one, which reads the panel line by line
  int64_t lines = 1;                      ///< of the next part one in so many is fetched
  int64_t slices = 1;                     ///< of w's rows, of which this tile takes one
  Value *slice = nullptr;                 ///< its number; null: there is one only
  Value *scratch_row = nullptr;           ///< where its sums lie in the item's scratch; null: 0
};

/// A tile that adds the products of a block to its sums.
struct BlockTile {
  const BlockShape &shape;
  PackedTile tile;
  Value *columns;             ///< of integers: address of the tile's columns in the block
  Value *k0, *count;          ///< the block's first row of w, how many rows it has
  Value *widened;             ///< of a in bf16: address of the tile's first row, widened; null: a is read
  Value *next;                ///< address of the next block in the panels, which the tiles prefetch
  Value *chunk;               ///< rows of w that a tile multiplies between two prefetches
  Value *first_chunk, *share; ///< the tile's first chunk of all tiles' ones; lines for 2^16 of them
};
/// The lines of a tile's chunk number `chunk`.
void prefetchNext(Emitter &e, const BlockTile &tile, Value *chunk);

/// Whether sums of integers are scaled for each section and then added in the item's scratch (without VNNI).
inline bool sumsSections(const PackedMatmulSpec &spec, int bytes) {
  return spec.w == Type::i4 || spec.addsSections(bytes);
}

/// out = activation(scratch + bias) + residual for the columns of a tile that exist.
void epilogue(const PackedItem &item, const PackedTile &tile);
/// Splits `rows` of a into as few tiles of up to `most` rows as possible. Their sizes differ by two, so that code for
/// half as many sizes is made. The last may lack a row. Fewer rows than the smallest size, most / 4 pairs rounded up,
/// get no tile. body(size, first row, number, how many)
void forTiles(Emitter &e, int most, Value *rows,
              llvm::function_ref<void(int, Value *, Value *, Value *)> body);
/// Splits all rows of a into as few blocks of up to `most` rows as possible. Their sizes differ by one, so that each has
/// enough rows for tiles: at least half of `most` if there are several. body(first row, rows)
void forRowBlocks(Emitter &e, Value *m, int64_t most, llvm::function_ref<void(Value *, Value *)> body);
/// All rows of a and one panel, in blocks.
void blockedTiles(const PackedItem &item, const BlockShape &shape);

/// The numbers of the rows of a that a tile reads: the one before once more where its last is lacking.
Values rowsOf(const PackedItem &item, const PackedTile &tile);

/// The next part of the weight, spread evenly over the steps of a tile: a core waits for few lines at once,
/// and faster than they come they would keep the loads of this part waiting. Or, for a tile alone, what lies
/// some way ahead: further than the processor fetches by itself.
struct FetchAhead {
  Value *from = nullptr, *rate = nullptr; ///< where step 0 fetches; rows a step, times 2^16. Null: nothing
  int64_t stride = 0, bytes = 0;          ///< from row to row; of a row
  int64_t lines = 1;                      ///< one in so many
  void step(Emitter &e, Value *number) const;
};
/// For a tile that takes `steps` of them.
FetchAhead fetchAhead(const PackedItem &item, const PackedTile &tile, int64_t steps);

/// A tile's sums, times their scales, into the item's scratch.
void floatSums(const PackedItem &item, const PackedTile &tile);
void integerSums(const PackedItem &item, const PackedTile &tile); ///< isa.vnni
/// The same without VNNI. With several sections, all columns of the panel, `tile.vectors` at once.
void pairSums(const PackedItem &item, const PackedTile &tile);

/// Expands rows [k0, k0 + count) of the panel into the item's block.
void expandIntegers(const PackedItem &item, const BlockShape &shape, Value *k0, Value *count);
/// Adds a block's products to a tile's sums in the item's scratch; after the last block they are complete.
void floatBlockSums(const PackedItem &item, const BlockTile &tile);
void integerBlockSums(const PackedItem &item, const BlockTile &tile);

} // namespace linnet::cpu
