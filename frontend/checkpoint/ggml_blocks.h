// GGML's quantized types: a block of 32 or 256 elements shares scales, and in some types minima.
#pragma once
#include "frontend/checkpoint/tensor.h"

#include <cstddef>
#include <cstdint>

namespace linnet {

inline constexpr uint32_t kMaxBlock = 256; ///< most elements of a block of any type

/// Converts one block of a quantized `type` (isQuantized) to f32, with the bits of GGML's dequantize_row_TYPE.
/// `out` has space for all elements of the block.
void decodeBlock(StorageType type, const std::byte *block, float *out);

} // namespace linnet
