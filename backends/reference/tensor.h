// A tensor of the interpreter. Elements of f32, f16 and bf16 are stored as f32, rounded to their type. Elements of
// integer types are stored as i32. Copies share their elements.
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
  std::shared_ptr<std::vector<float>> floats;     ///< for f32, f16 and bf16
  std::shared_ptr<std::vector<int32_t>> integers; ///< for i32, i8 and i4

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

/// Returns for example "f32[2, 3]".
std::string describe(const Tensor &tensor);
/// The nearest value of `kind`.
float rounded(Kind kind, double value);

/// Returns a weight by its name, in row-major order.
using WeightProvider = std::function<Result<Tensor>(std::string_view name)>;

} // namespace linnet::reference
