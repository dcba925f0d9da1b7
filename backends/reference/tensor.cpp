#include "backends/reference/tensor.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <bit>
#include <cmath>

namespace linnet::reference {

Tensor Tensor::zeros(Kind kind, std::vector<int64_t> shape) {
  Tensor tensor;
  tensor.kind = kind;
  tensor.shape = std::move(shape);
  auto n = static_cast<size_t>(tensor.size());
  if (tensor.isFloat())
    tensor.floats = std::make_shared<std::vector<float>>(n);
  else
    tensor.integers = std::make_shared<std::vector<int32_t>>(n);
  return tensor;
}
Tensor Tensor::of(std::vector<int64_t> shape, std::vector<float> values) {
  Tensor tensor;
  tensor.shape = std::move(shape);
  tensor.floats = std::make_shared<std::vector<float>>(std::move(values));
  return tensor;
}
Tensor Tensor::of(std::vector<int64_t> shape, std::vector<int32_t> values) {
  Tensor tensor;
  tensor.kind = Kind::i32;
  tensor.shape = std::move(shape);
  tensor.integers = std::make_shared<std::vector<int32_t>>(std::move(values));
  return tensor;
}

std::string describe(const Tensor &tensor) {
  constexpr const char *kNames[] = {"f32", "f16", "bf16", "i32", "i8", "i4"};
  return fmt::format("{}[{}]", kNames[static_cast<int>(tensor.kind)], fmt::join(tensor.shape, ", "));
}

namespace {

/// Rounds to a significand of `bits` bits, the implicit bit included, and to multiples of 2^smallest. Ties go to even.
/// Beyond `largest` the result is infinite.
double roundBinary(double value, int bits, int smallest, double largest) {
  if (!std::isfinite(value) || value == 0) return value;
  int exponent = std::max(std::ilogb(value) - bits + 1, smallest);
  double rounded = std::ldexp(std::nearbyint(std::ldexp(value, -exponent)), exponent);
  return std::fabs(rounded) > largest ? std::copysign(HUGE_VAL, value) : rounded;
}

} // namespace

float rounded(Kind kind, double value) {
  switch (kind) {
  case Kind::f16:
    return static_cast<float>(roundBinary(value, 11, -24, 65504));
  case Kind::bf16:
    return static_cast<float>(roundBinary(value, 8, -133, 0x1.fep127));
  default:
    return static_cast<float>(value);
  }
}

} // namespace linnet::reference
