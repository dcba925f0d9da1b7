// Packing of a matrix into column panels, and back. #linnet.panel describes the layout (ir/LinnetDialect.td).
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
/// `transposed`: the plain matrix is stored (N, K), otherwise (K, N).
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
  /// for example "panel<16x64>", "panel<16x64, transposed>" or "panel<32x64, interleave = 2>"
  std::string text() const;
};

/// Element types of packed weights. Integers are passed as floats, which hold them exactly. A byte holds two i4, the
/// first in the low bits.
enum class PackedType : uint8_t { f32, f16, bf16, i8, i4 };
int64_t bytesOf(PackedType type, int64_t elements);
/// Rounds to nearest even. A run of i4 begins at a whole byte; if its length is odd, the last byte's upper half is 0.
void convert(std::span<const float> from, PackedType type, std::byte *to);
void convertBack(PackedType type, const std::byte *from, std::span<float> to);

using ReadElements = std::function<Result<void>(int64_t first, std::span<float> out)>;
using TakeBytes = std::function<Result<void>(std::span<const std::byte>)>;

/// Reads a plain K x N matrix by row-major element numbers and passes its panels to `take` in order. Missing rows and
/// columns of the last blocks are zeros. Holds a few MiB at a time for matrices of any size. `read` is called from
/// several threads.
Result<void> packPanels(const PackedLayout &layout, int64_t k, int64_t n, PackedType type,
                        const ReadElements &read, const TakeBytes &take);

/// The inverse of packPanels: `packed` holds layout.elements(k, n) elements of `type`. The result is plain.
std::vector<float> unpackPanels(const PackedLayout &layout, int64_t k, int64_t n, PackedType type,
                                std::span<const std::byte> packed);

} // namespace linnet
