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
  Value *scratch;           ///< (rows, n_block) f32
};

/// The sums of `rows` rows from row0 on, times their scales, into the item's scratch.
void floatSums(const PackedItem &item, int rows, Value *row0);
/// `bytes`: of how many a number of a consists, 2 or, of int8_rows and more, 1.
void integerSums(const PackedItem &item, int rows, Value *row0, int bytes);

} // namespace linnet::cpu
