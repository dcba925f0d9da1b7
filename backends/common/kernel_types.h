// Types that the kernel generators of all backends share: element types, activations, dynamic sizes.
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace linnet::backend {

/// Element types, numbered as in fb::DType.
enum class Type : uint8_t { f32 = 0, f16 = 1, bf16 = 2, i32 = 3, i8 = 4, i4 = 5 };
const char *nameOf(Type type);
int64_t sizeOf(Type type); ///< in bytes; 0 for i4, whose kernels count bytes themselves
inline bool isFloat(Type type) { return type <= Type::bf16; }

enum class Activation : uint8_t { none = 0, relu = 1, gelu_erf = 2, gelu_tanh = 3, gelu_quick = 4, silu = 5 };
/// The part of a kernel's name, for example "_relu"; empty for none.
const char *suffixOf(Activation activation);

/// factor * product of dynamic dimensions. Each dimension is named by its index in Program.symbols; a call gives its
/// size.
struct Extent {
  int64_t factor = 1;
  std::vector<uint8_t> symbols;

  Extent() = default;
  Extent(int64_t factor, std::vector<uint8_t> symbols = {}) : factor(factor), symbols(std::move(symbols)) {}
  static Extent symbol(uint8_t number) { return Extent(1, {number}); }
  bool isStatic() const { return symbols.empty(); }
  bool operator==(const Extent &) const = default;
  std::string text() const; ///< for example "768" or "d0d1x768"
};
Extent operator*(const Extent &x, const Extent &y);

using Extents = std::vector<Extent>;

enum class Reduction { sum, mean, max };
enum class Pooling { last, first, mean };
const char *nameOf(Reduction kind);
const char *nameOf(Pooling mode);

} // namespace linnet::backend
