// Kernels over rows or columns: normalization, softmax, argmax, reductions, pooling.
#pragma once
#include "backends/common/specs/spec.h"

namespace linnet::backend {

/// Softmax or argmax over rows of the last dimension. Argmax returns i32, the lowest index of the largest element.
struct RowSpec {
  enum class Operand : uint8_t { x, out, count };
  Extent rows, columns;
  Type type = Type::f32;

  std::string key(const char *family, Walk walk) const;
};

/// Layer norm and RMS norm.
struct NormSpec {
  enum class Operand : uint8_t { x, gain, bias, out, count };
  RowSpec x;
  Type gain = Type::f32; ///< the type of gain and bias
  float epsilon = 0;
  bool rms = false; ///< RMS norm: the mean is not subtracted, and there is no bias

  bool has(Operand operand) const { return operand != Operand::bias || !rms; }
  const Extent &rows() const { return x.rows; }
  std::string key(Walk walk) const;
};

/// x (outer, size, inner) -> out (outer, inner). Items are elements of out.
struct ReduceSpec {
  enum class Operand : uint8_t { x, out, count };
  Reduction kind;
  Extent outer, size, inner;
  Type type = Type::f32;

  Extent elements() const { return outer * inner; }
  std::string key(Walk walk) const;
};

/// x (B, T, C), length (B) -> out (B, C). Items are elements of out. Lengths are clamped to [1, T].
struct PoolSpec {
  enum class Operand : uint8_t { x, length, out, count };
  Pooling mode;
  Extent batch, positions, columns;
  Type type = Type::f32;

  Extent elements() const { return batch * columns; }
  std::string key(Walk walk) const;
};

} // namespace linnet::backend
