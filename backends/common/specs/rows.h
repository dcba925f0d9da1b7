// Kernels over rows or columns: normalization, softmax, argmax, reductions, pooling.
#pragma once
#include "backends/common/specs/spec.h"

namespace linnet::backend {

/// Rows of the last dimension.
struct RowSpec {
  Extent rows, columns;
  Type type = Type::f32;

  std::string key(const char *family, Walk walk) const;
};

struct SoftmaxSpec {
  enum class Operand : uint8_t { x, out, count };
  RowSpec x;

  std::string key(Walk walk) const;
};

/// out is i32, the lowest index of the largest element.
struct ArgmaxSpec {
  enum class Operand : uint8_t { x, out, count };
  RowSpec x;

  std::string key(Walk walk) const;
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

inline std::string RowSpec::key(const char *family, Walk walk) const {
  const auto &[rows, columns, type] = *this;
  return Key(family, walk).type(type).items("r", rows).size("c", columns).text;
}

inline std::string SoftmaxSpec::key(Walk walk) const {
  const auto &[x] = *this;
  return x.key("softmax", walk);
}

inline std::string ArgmaxSpec::key(Walk walk) const {
  const auto &[x] = *this;
  return x.key("argmax", walk);
}

inline std::string NormSpec::key(Walk walk) const {
  const auto &[x, gain, epsilon, rms] = *this;
  return Key(x.key(rms ? "rms_norm" : "layer_norm", walk))
      .bits("eps", epsilon)
      .type("gain", gain, x.type)
      .text;
}

inline std::string ReduceSpec::key(Walk walk) const {
  const auto &[kind, outer, size, inner, type] = *this;
  return Key("reduce", walk)
      .word(nameOf(kind))
      .type(type)
      .items("o", outer)
      .size("r", size)
      .size("i", inner)
      .text;
}

inline std::string PoolSpec::key(Walk walk) const {
  const auto &[mode, batch, positions, columns, type] = *this;
  return Key("pool", walk)
      .word(nameOf(mode))
      .type(type)
      .items("b", batch)
      .size("t", positions)
      .size("c", columns)
      .text;
}

} // namespace linnet::backend
