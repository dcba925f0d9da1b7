// Inside of the packed matmul kernels: what writes the sums of a tile of rows and one panel of columns.
// Frame and epilogue: packed_kernels.cpp; sums of floats: packed_float_kernel.cpp, of integers:
// packed_integer_kernel.cpp.
#pragma once
#include "backends/cpu/emitter.h"
#include "backends/cpu/kernels.h"

namespace linnet::cpu {

constexpr int kTileRows = 6; ///< of a full tile

/// What a work item has at hand.
struct PackedItem {
  Emitter &e;
  const PackedMatmulSpec &spec;
  Value *a, *panel, *scale; ///< scale: of this panel, null without
  Value *scratch;           ///< (rows, n_block) f32
  Value *start = nullptr;   ///< (n_block) i32, where IntegerRows are unsigned: what sums begin with
};

/// With many rows a panel is read again and again, from the caches; meanwhile the next one comes from memory,
/// some lines with each step of the first tiles: all at once would keep the loads of this one waiting.
struct FetchAhead {
  Value *from = nullptr,
        *stride = nullptr; ///< where step 0 fetches, and bytes from step to step; null: nothing
  void step(Emitter &e, Value *number) const;
};
/// For the full tile at row0, which takes `steps` of them.
FetchAhead fetchAhead(const PackedItem &item, Value *row0, int64_t steps);

/// The sums of `rows` rows from row0 on, times their scales, into the item's scratch.
void floatSums(const PackedItem &item, int rows, Value *row0);
/// `bytes`: of how many a number of a consists, 2 or, of int8_rows and more, 1.
void integerSums(const PackedItem &item, int rows, Value *row0, int bytes);
/// Fills item.start: -128 times the sums of the panel's columns.
void columnSums(const PackedItem &item);

} // namespace linnet::cpu
