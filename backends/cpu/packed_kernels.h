// Inside of the packed matmul kernels: what writes the sums of a tile of rows and one panel of columns.
// Frame and epilogue: packed_kernels.cpp; sums of floats: packed_float_kernel.cpp, of integers:
// packed_integer_kernel.cpp.
#pragma once
#include "backends/cpu/emitter.h"
#include "backends/cpu/kernels.h"

namespace linnet::cpu {

/// What a work item has at hand.
struct PackedItem {
  Emitter &e;
  const PackedMatmulSpec &spec;
  Value *a, *panel, *scale; ///< scale: of this panel, null without
  Value *scratch;           ///< (rows, n_block) f32; of slices, the rows of all tiles
  Value *start = nullptr;   ///< (n_block) i32, where IntegerRows are unsigned: what sums begin with
};

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
/// `bytes`: of how many a number of a consists, 2 or, of int8_rows and more, 1.
void integerSums(const PackedItem &item, const PackedTile &tile, int bytes);
/// Fills item.start: -128 times the sums of the panel's columns.
void columnSums(const PackedItem &item);

} // namespace linnet::cpu
