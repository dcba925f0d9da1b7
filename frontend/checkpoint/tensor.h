// A named tensor in a mapped file, and reading its elements as f32 whatever their type.
#pragma once
#include "support/file.h"
#include "support/result.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace linnet {

inline constexpr size_t kMaxTensors = 1 << 14; ///< in one checkpoint; more is an error
inline constexpr size_t kShownName = 100;      ///< characters of a name from a file that an error shows

/// Element types of checkpoints. q8_0 and q4_0 are GGUF's blocks of 32 elements with one f16 scale.
enum class StorageType : uint8_t { f64, f32, f16, bf16, i64, i32, i16, i8, u8, boolean, q8_0, q4_0 };

const char *storageTypeName(StorageType type);
/// Bytes of `elements` elements of `type`, or an error (`where` starts it) when they do not fill whole blocks
/// or overflow.
Result<uint64_t> storageBytes(StorageType type, uint64_t elements, std::string_view where);
/// Product of the sizes, or an error when one is negative or it overflows.
Result<uint64_t> elementCount(const std::vector<int64_t> &shape, std::string_view where);
/// "[768, 2304]"
std::string shapeText(const std::vector<int64_t> &shape);

/// Bytes in row-major order, little endian. `bytes` points into a map that `file` keeps alive. A `transposed`
/// matrix is stored as its transpose: `shape` is the logical one, [rows, columns], the file has [columns,
/// rows].
struct TensorView {
  std::string name;
  StorageType type = StorageType::f32;
  std::vector<int64_t> shape;
  bool transposed = false;
  std::span<const std::byte> bytes;
  MappedFile file;

  uint64_t elements() const;
};

/// Elements [first, first + out.size()) as f32. Integers are refused. Safe from several threads.
Result<void> readF32(const TensorView &tensor, uint64_t first, std::span<float> out);

/// `values` encoded as `type` (f32, f16, bf16, q8_0, q4_0; blocks are whole), appended to `out`.
void encode(StorageType type, std::span<const float> values, std::vector<std::byte> &out);

} // namespace linnet
