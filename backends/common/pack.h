// Packing of a matrix into column panels, the layout that #linnet.panel describes (ir/LinnetDialect.td), and
// back.
#pragma once
#include "support/result.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace linnet {

/// offset(k, n) = ((n / n_block * ceil(K / k_block) + k / k_block) * k_block * n_block)
///              + (k % k_block / interleave * n_block + n % n_block) * interleave + k % interleave
/// `transposed`: the plain matrix is stored (N, K), else (K, N).
struct PackedLayout {
  int64_t k_block = 16, n_block = 64, interleave = 1;
  bool transposed = false;

  int64_t panels(int64_t n) const { return (n + n_block - 1) / n_block; }
  int64_t panelSize(int64_t k) const { return (k + k_block - 1) / k_block * k_block * n_block; }
  int64_t elements(int64_t k, int64_t n) const { return panels(n) * panelSize(k); }
  int64_t offset(int64_t k, int64_t n, int64_t k_size) const {
    return n / n_block * panelSize(k_size) + k / k_block * k_block * n_block +
           (k % k_block / interleave * n_block + n % n_block) * interleave + k % interleave;
  }
  std::string text() const; ///< "panel<16x64>", "panel<16x64, transposed>", "panel<32x64, interleave = 2>"
};

/// Integers come and go as floats that hold them exactly; two of i4 lie in a byte, the first in the low bits.
enum class PackedType : uint8_t { f32, f16, bf16, i8, i4 };
int64_t bytesOf(PackedType type, int64_t elements);
/// Round to nearest even. A run of i4 begins at a whole byte; the last byte's unused half is 0.
void convert(std::span<const float> from, PackedType type, std::byte *to);
void convertBack(PackedType type, const std::byte *from, std::span<float> to);

using ReadElements = std::function<Result<void>(int64_t first, std::span<float> out)>;
using TakeBytes = std::function<Result<void>(std::span<const std::byte>)>;

/// Reads a plain matrix of K x N elements by its row-major element numbers and hands out its panels in order,
/// the ragged edges filled with zeros. Holds a few MiB at a time, whatever the matrix's size. `read` is
/// called from several threads.
Result<void> packPanels(const PackedLayout &layout, int64_t k, int64_t n, PackedType type,
                        const ReadElements &read, const TakeBytes &take);

/// The inverse: `packed` holds layout.elements(k, n) elements of `type`; the result is plain.
std::vector<float> unpackPanels(const PackedLayout &layout, int64_t k, int64_t n, PackedType type,
                                std::span<const std::byte> packed);

} // namespace linnet
