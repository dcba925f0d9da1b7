// What the fuzz targets do with what a loader let through: touch all of it.
#pragma once
#include "frontend/checkpoint/tensor.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

namespace fuzz {

/// A copy whose end is the end of its allocation, aligned as a map is: a read beyond it is seen.
struct Bytes {
  Bytes(const uint8_t *data, size_t size) : copy(new uint8_t[size ? size : 1]), size(size) {
    if (size) std::memcpy(copy.get(), data, size);
  }
  std::span<const std::byte> span() const {
    return std::as_bytes(std::span<const uint8_t>(copy.get(), size));
  }
  std::unique_ptr<uint8_t[]> copy;
  size_t size;
};

/// Reads every element in uneven pieces, and the first and last again.
inline void readAll(const linnet::TensorView &tensor) {
  uint64_t count = tensor.elements();
  std::vector<float> piece(std::min<uint64_t>(count, 1009));
  for (uint64_t i = 0; i < count; i += piece.size()) {
    piece.resize(std::min<uint64_t>(piece.size(), count - i));
    if (!linnet::readF32(tensor, i, piece)) return; // integers
  }
  std::vector<float> beyond(2);
  if (count && linnet::readF32(tensor, count - 1, beyond)) abort();
}

} // namespace fuzz
