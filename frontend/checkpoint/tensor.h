// A named tensor in a mapped file. Its elements of any float type are read as f32.
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

inline constexpr size_t kMaxTensors = 1 << 14; ///< most tensors of a checkpoint; more are an error
inline constexpr size_t kShownName = 100;      ///< most characters of a file's name for a tensor in an error

/// Element types of checkpoints. The types from q8_0 on are quantized: GGUF stores them in blocks
/// (ggml_blocks.h).
enum class StorageType : uint8_t {
  f64,
  f32,
  f16,
  bf16,
  i64,
  i32,
  i16,
  i8,
  u8,
  boolean,
  q8_0,
  q4_0,
  q4_1,
  q5_0,
  q5_1,
  q4_k,
  q5_k,
  q6_k,
  iq4_nl
};

/// "F32", "Q4_K".
const char *storageTypeName(StorageType type);
/// Whether elements are stored in blocks that share a scale.
inline bool isQuantized(StorageType type) { return type >= StorageType::q8_0; }
/// Bytes of `elements` elements of `type`. An error that begins with `where` if they do not fill whole blocks
/// or if the size overflows.
Result<uint64_t> storageBytes(StorageType type, uint64_t elements, std::string_view where);
/// Product of the sizes, or an error if a size is negative or the product overflows.
Result<uint64_t> elementCount(const std::vector<int64_t> &shape, std::string_view where);
/// "[768, 2304]"
std::string shapeText(const std::vector<int64_t> &shape);

/// Little-endian bytes in row-major order. `bytes` points into a mapping that `file` keeps alive. A
/// `transposed` matrix is stored as its transpose: `shape` is the logical [rows, columns], the file has
/// [columns, rows].
/// If `paired_heads` is not 0, the rows belong to so many heads of D rows, and row n + j D / 2 of a head (j 0 or 1) is
/// stored as row 2 n + j of it: GGML's order for rotary positions. If it is negative, stored and logical rows change
/// roles: reading gives GGML's order.
/// With `integers`, the elements of a quantized type are its integers without their scales (integersOf).
struct TensorView {
  std::string name;
  StorageType type = StorageType::f32;
  std::vector<int64_t> shape;
  bool transposed = false;
  std::span<const std::byte> bytes;
  MappedFile file = {};
  int64_t paired_heads = 0;
  bool integers = false;

  uint64_t elements() const;
};

/// Reads elements [first, first + out.size()) as f32. Integer tensors are errors. Thread-safe.
Result<void> readF32(const TensorView &tensor, uint64_t first, std::span<float> out);

/// The scales of a matrix of a type that integersOf() describes: [rows, groups] of `shape`, or [groups, columns] if it
/// is transposed, in the order of readF32(). A minimum follows its scale in the dimension of groups.
std::vector<float> readScales(const TensorView &tensor);
/// Groups (twice as many with minima) of a row of such a matrix as it is stored.
int64_t scalesOfRow(const TensorView &tensor);

/// Appends `values` encoded as `type` (f32, f16, bf16, q8_0, q4_0) to `out`. They must fill whole blocks.
void encode(StorageType type, std::span<const float> values, std::vector<std::byte> &out);

} // namespace linnet
