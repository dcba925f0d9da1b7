// A tensor of the interpreter: floating-point elements as f32 (values of f16 and bf16 are rounded to them),
// integers as i32. Copies share their elements.
#pragma once
#include "support/result.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::reference {

enum class Kind : uint8_t { f32, f16, bf16, i32, i8, i4 };

struct Tensor {
  Kind kind = Kind::f32;
  std::vector<int64_t> shape;
  std::shared_ptr<std::vector<float>> floats;     ///< of f32, f16 and bf16
  std::shared_ptr<std::vector<int32_t>> integers; ///< of i32, i8 and i4

  bool isFloat() const { return kind == Kind::f32 || kind == Kind::f16 || kind == Kind::bf16; }
  int64_t size() const {
    int64_t n = 1;
    for (int64_t d : shape) n *= d;
    return n;
  }
  float *data() { return floats->data(); }
  const float *data() const { return floats->data(); }
  int32_t *ints() { return integers->data(); }
  const int32_t *ints() const { return integers->data(); }

  static Tensor zeros(Kind kind, std::vector<int64_t> shape);
  static Tensor of(std::vector<int64_t> shape, std::vector<float> values);
  static Tensor of(std::vector<int64_t> shape, std::vector<int32_t> values);
};

/// "f32[2, 3]"
std::string describe(const Tensor &tensor);
/// The nearest value of `kind`.
float rounded(Kind kind, double value);

/// Weights by name, in row-major order.
using WeightProvider = std::function<Result<Tensor>(std::string_view name)>;

} // namespace linnet::reference
