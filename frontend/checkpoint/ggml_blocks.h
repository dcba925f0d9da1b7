// GGML's quantized types: a block of 32 or 256 elements shares scales, and in some types minima.
#pragma once
#include "frontend/checkpoint/tensor.h"

#include <cstddef>
#include <cstdint>

namespace linnet {

inline constexpr uint32_t kMaxBlock = 256; ///< most elements of a block of any type

/// Writes all elements of one block of a quantized `type` (isQuantized) to `out`. The result has the bits of
/// GGML's reference, dequantize_row_TYPE.
void decodeBlock(StorageType type, const std::byte *block, float *out);

} // namespace linnet
