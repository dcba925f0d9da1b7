#include "frontend/checkpoint/tensor.h"
#include "frontend/checkpoint/ggml_blocks.h"
#include "support/error.h"
#include "support/half.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace linnet {
namespace {

struct TypeInfo {
  const char *name;
  uint32_t block, bytes; ///< elements and bytes of the smallest unit
};
constexpr TypeInfo kTypes[] = {{"F64", 1, 8},      {"F32", 1, 4},      {"F16", 1, 2},     {"BF16", 1, 2},
                               {"I64", 1, 8},      {"I32", 1, 4},      {"I16", 1, 2},     {"I8", 1, 1},
                               {"U8", 1, 1},       {"BOOL", 1, 1},     {"Q8_0", 32, 34},  {"Q4_0", 32, 18},
                               {"Q4_1", 32, 20},   {"Q5_0", 32, 22},   {"Q5_1", 32, 24},  {"Q4_K", 256, 144},
                               {"Q5_K", 256, 176}, {"Q6_K", 256, 210}, {"IQ4_NL", 32, 18}};
static_assert(std::size(kTypes) == static_cast<size_t>(StorageType::iq4_nl) + 1);
const TypeInfo &infoOf(StorageType type) { return kTypes[static_cast<size_t>(type)]; }
constexpr uint32_t kBlock = 32; ///< elements of a block of the types that encode() writes

template <class T> T at(const std::byte *bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

void readBlocks(const TensorView &tensor, uint64_t first, std::span<float> out) {
  const TypeInfo &info = infoOf(tensor.type);
  const auto decode = tensor.integers ? decodeIntegers : decodeBlock;
  float part[kMaxBlock];
  for (size_t done = 0; done < out.size();) {
    const uint64_t index = first + done, inside = index % info.block;
    const size_t n = std::min<size_t>(info.block - inside, out.size() - done);
    const std::byte *block = tensor.bytes.data() + index / info.block * info.bytes;
    if (n == info.block) {
      decode(tensor.type, block, out.data() + done);
    } else {
      decode(tensor.type, block, part);
      std::copy_n(part + inside, n, out.data() + done);
    }
    done += n;
  }
}

template <class T> void push(std::vector<std::byte> &out, T value) {
  auto bytes = std::as_bytes(std::span(&value, 1));
  out.insert(out.end(), bytes.begin(), bytes.end());
}

void encodeQ8(const float *x, std::vector<std::byte> &out) {
  float largest = 0;
  for (uint32_t i = 0; i < kBlock; ++i) largest = std::max(largest, std::fabs(x[i]));
  float scale = largest / 127.0f, inverse = scale > 0 ? 1.0f / scale : 0.0f;
  push(out, toHalf(scale));
  for (uint32_t i = 0; i < kBlock; ++i)
    push(out, static_cast<int8_t>(std::clamp(std::lround(x[i] * inverse), -127l, 127l)));
}

// The element of largest magnitude becomes exactly -8, as in GGML.
void encodeQ4(const float *x, std::vector<std::byte> &out) {
  float extreme = 0;
  for (uint32_t i = 0; i < kBlock; ++i)
    if (std::fabs(x[i]) > std::fabs(extreme)) extreme = x[i];
  float scale = extreme / -8.0f, inverse = scale != 0 ? 1.0f / scale : 0.0f;
  push(out, toHalf(scale));
  auto quantum = [&](float value) {
    return static_cast<uint8_t>(std::min(15.0f, std::max(0.0f, value * inverse + 8.5f))); // NaN gives 0
  };
  for (uint32_t i = 0; i < kBlock / 2; ++i)
    push(out, static_cast<uint8_t>(quantum(x[i]) | quantum(x[i + kBlock / 2]) << 4));
}

} // namespace

const char *storageTypeName(StorageType type) { return infoOf(type).name; }

Result<uint64_t> elementCount(const std::vector<int64_t> &shape, std::string_view where) {
  uint64_t count = 1;
  for (int64_t size : shape)
    if (size < 0 || __builtin_mul_overflow(count, static_cast<uint64_t>(size), &count))
      return errorf("{}: impossible shape {}", where, shapeText(shape));
  return count;
}

Result<uint64_t> storageBytes(StorageType type, uint64_t elements, std::string_view where) {
  const TypeInfo &info = infoOf(type);
  uint64_t bytes;
  if (elements % info.block)
    return errorf("{}: {} elements do not fill {} blocks of {}", where, elements, info.name, info.block);
  if (__builtin_mul_overflow(elements / info.block, uint64_t(info.bytes), &bytes))
    return errorf("{}: {} elements of {} overflow", where, elements, info.name);
  return bytes;
}

std::string shapeText(const std::vector<int64_t> &shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

uint64_t TensorView::elements() const {
  uint64_t count = 1;
  for (int64_t size : shape) count *= static_cast<uint64_t>(size);
  return count;
}

namespace {

/// Reads elements in the order of the file.
Result<void> readStored(const TensorView &tensor, uint64_t first, std::span<float> out) {
  if (out.empty()) return {}; // data() may be null
  if (isQuantized(tensor.type)) return readBlocks(tensor, first, out), Result<void>();
  const std::byte *data = tensor.bytes.data();
  switch (tensor.type) {
  case StorageType::f32:
    std::memcpy(out.data(), data + 4 * first, 4 * out.size());
    return {};
  case StorageType::f64:
    for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<float>(at<double>(data + 8 * (first + i)));
    return {};
  case StorageType::f16:
    for (size_t i = 0; i < out.size(); ++i) out[i] = fromHalf(at<uint16_t>(data + 2 * (first + i)));
    return {};
  case StorageType::bf16:
    for (size_t i = 0; i < out.size(); ++i) out[i] = fromBfloat(at<uint16_t>(data + 2 * (first + i)));
    return {};
  default:
    return errorf("{}: {}: expected a floating-point tensor, found {}", tensor.file.path(), tensor.name,
                  storageTypeName(tensor.type));
  }
}

/// Reads column by column, because the elements of a column are adjacent in the file.
Result<void> readTransposed(const TensorView &tensor, uint64_t first, std::span<float> out) {
  auto rows = static_cast<uint64_t>(tensor.shape[0]), columns = static_cast<uint64_t>(tensor.shape[1]);
  uint64_t end = first + out.size();
  float run[256];
  for (uint64_t column = 0; column < columns; ++column) {
    uint64_t row = first > column ? (first - column + columns - 1) / columns : 0;
    uint64_t stop = end > column ? std::min(rows, (end - column + columns - 1) / columns) : 0;
    while (row < stop) {
      uint64_t n = std::min<uint64_t>(stop - row, std::size(run));
      LINNET_TRY(readStored(tensor, column * rows + row, std::span(run, n)));
      for (uint64_t i = 0; i < n; ++i) out[(row + i) * columns + column - first] = run[i];
      row += n;
    }
  }
  return {};
}

/// Where row `row` of a tensor with paired heads is stored.
uint64_t pairedRow(const TensorView &tensor, uint64_t row) {
  const auto rows = static_cast<uint64_t>(tensor.shape[0]);
  const uint64_t of_head = rows / static_cast<uint64_t>(std::abs(tensor.paired_heads)), half = of_head / 2;
  const uint64_t i = row % of_head;
  return row - i + (tensor.paired_heads > 0 ? i % half * 2 + i / half : i % 2 * half + i / 2);
}

/// Reads row by row; a vector has rows of one element.
Result<void> readPaired(const TensorView &tensor, uint64_t first, std::span<float> out) {
  const auto rows = static_cast<uint64_t>(tensor.shape[0]), size = tensor.elements() / rows;
  for (size_t done = 0; done < out.size();) {
    const uint64_t column = (first + done) % size, stored = pairedRow(tensor, (first + done) / size);
    const size_t n = std::min<size_t>(size - column, out.size() - done);
    const auto read = tensor.transposed ? readTransposed : readStored;
    LINNET_TRY(read(tensor, stored * size + column, out.subspan(done, n)));
    done += n;
  }
  return {};
}

} // namespace

Result<void> readF32(const TensorView &tensor, uint64_t first, std::span<float> out) {
  uint64_t count = tensor.elements();
  if (first > count || out.size() > count - first)
    return errorf("{}: elements [{}, {}) of {}", tensor.name, first, first + out.size(), count);
  if (tensor.paired_heads) return readPaired(tensor, first, out);
  return tensor.transposed ? readTransposed(tensor, first, out) : readStored(tensor, first, out);
}

int64_t scalesOfRow(const TensorView &tensor) {
  const BlockIntegers form = *integersOf(tensor.type);
  return tensor.shape[tensor.transposed ? 0 : 1] / form.group * (form.minima ? 2 : 1);
}

std::vector<float> readScales(const TensorView &tensor) {
  const TypeInfo &info = infoOf(tensor.type);
  const auto rows = static_cast<uint64_t>(tensor.shape[tensor.transposed ? 1 : 0]), // as they are stored
      blocks = tensor.elements() / rows / info.block, of_row = static_cast<uint64_t>(scalesOfRow(tensor));
  std::vector<float> scales(rows * of_row), row_scales(of_row);
  for (uint64_t row = 0; row < rows; ++row) {
    const uint64_t stored = tensor.paired_heads ? pairedRow(tensor, row) : row;
    for (uint64_t i = 0; i < blocks; ++i)
      decodeScales(tensor.type, tensor.bytes.data() + (stored * blocks + i) * info.bytes,
                   row_scales.data() + i * (of_row / blocks));
    for (uint64_t i = 0; i < of_row; ++i)
      scales[tensor.transposed ? i * rows + row : row * of_row + i] = row_scales[i];
  }
  return scales;
}

void encode(StorageType type, std::span<const float> values, std::vector<std::byte> &out) {
  // Resizes first and writes in place, because appending elements one by one is several times slower.
  auto grow = [&](size_t bytes) {
    out.resize(out.size() + bytes);
    return out.data() + out.size() - bytes;
  };
  auto each = [&](auto convert) {
    std::byte *to = grow(2 * values.size());
    for (size_t i = 0; i < values.size(); ++i) {
      uint16_t bits = convert(values[i]);
      std::memcpy(to + 2 * i, &bits, 2);
    }
  };
  switch (type) {
  case StorageType::f16:
    return each(toHalf);
  case StorageType::bf16:
    return each(toBfloat);
  case StorageType::q8_0:
    for (size_t i = 0; i + kBlock <= values.size(); i += kBlock) encodeQ8(values.data() + i, out);
    return;
  case StorageType::q4_0:
    for (size_t i = 0; i + kBlock <= values.size(); i += kBlock) encodeQ4(values.data() + i, out);
    return;
  default:
    if (!values.empty()) std::memcpy(grow(values.size_bytes()), values.data(), values.size_bytes());
  }
}

} // namespace linnet
