// GGML's quantized types: a block of 32 or 256 elements shares scales, and in some types minima.
#pragma once
#include "frontend/checkpoint/tensor.h"

#include <cstddef>
#include <cstdint>
#include <optional>

namespace linnet {

inline constexpr uint32_t kMaxBlock = 256; ///< most elements of a block of any type

/// Converts one block of a quantized `type` (isQuantized) to f32, with the bits of GGML's dequantize_row_TYPE.
/// `out` has space for all elements of the block.
void decodeBlock(StorageType type, const std::byte *block, float *out);

/// Elements that are exactly an integer times a scale, plus a minimum if `minima`. Each `group` elements share them.
struct BlockIntegers {
  int bits; ///< 8; or 4, of [-8, 7]
  uint32_t group;
  bool minima; ///< an element is (integer + 8) * scale + minimum
};

/// Nothing if the elements of this type are not of that form.
std::optional<BlockIntegers> integersOf(StorageType type);
/// The integers of a block of such a type.
void decodeIntegers(StorageType type, const std::byte *block, float *out);
/// The scale of each group of the block, each followed by its minimum if there are `minima`.
void decodeScales(StorageType type, const std::byte *block, float *out);

} // namespace linnet
