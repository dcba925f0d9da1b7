// Kernels that only training needs. docs/ir.md has the formulas. All floats are f32.
#pragma once
#include "backends/common/specs/rows.h"

#include <cmath>

namespace linnet::backend {

/// One step of linnet.adamw. Items are elements. Each result may have the memory of its operand. If pull is 0, there is
/// no operand `start`.
struct AdamWSpec {
  enum class Operand : uint8_t {
    param,
    gradient,
    m,
    v,
    lr,
    scale,
    m_scale,
    v_scale,
    start,
    new_param,
    cleared,
    new_m,
    new_v,
    count
  };
  float beta1, beta2, epsilon, decay, lr_scale, pull;
  Extent elements = 1;

  bool has(Operand operand) const { return operand != Operand::start || pull != 0; }
  /// The same for every Walk.
  std::string key(Walk walk = Walk::range) const;
};

/// Loss of each row of logits. A label below 0 gives 0; a label beyond the last column is clamped to it.
struct CrossEntropySpec {
  enum class Operand : uint8_t { logits, labels, out, count };
  RowSpec logits;

  const Extent &rows() const { return logits.rows; }
  std::string key(Walk walk) const {
    const auto &[logits] = *this;
    return logits.key("cross_entropy", walk);
  }
};

/// Gradient of CrossEntropySpec. out may have the memory of the logits.
struct CrossEntropyGradSpec {
  enum class Operand : uint8_t { logits, labels, gradient, out, count };
  RowSpec logits;

  const Extent &rows() const { return logits.rows; }
  std::string key(Walk walk) const {
    const auto &[logits] = *this;
    return logits.key("cross_entropy_grad", walk);
  }
};

/// The gradient of layer norm with respect to its rows.
struct LayerNormGradSpec {
  enum class Operand : uint8_t { x, gain, gradient, out, count };
  RowSpec x;
  float epsilon = 0;

  const Extent &rows() const { return x.rows; }
  std::string key(Walk walk) const;
};

/// The gradient of `pool`, whose type is f32. Items are elements of out (B, T, C).
struct PoolGradSpec {
  enum class Operand : uint8_t { gradient, length, out, count };
  PoolSpec pool;

  Extent elements() const { return pool.elements() * pool.positions; }
  std::string key(Walk walk) const {
    const auto &[pool] = *this;
    return "grad_" + pool.key(walk);
  }
};

/// Items are elements. out may have the memory of x. The key is two i32.
struct DropoutSpec {
  enum class Operand : uint8_t { x, key, out, count };
  float rate;
  uint32_t stream;
  Extent elements = 1;
  /// An element stays if the upper 24 bits of its random word reach this threshold: u >= rate in steps of 2^-24.
  uint32_t threshold() const { return static_cast<uint32_t>(std::ceil(double(rate) * 0x1p24)); }
  double factor() const { return 1 / (1 - double(rate)); }

  /// The same for every Walk.
  std::string key(Walk walk = Walk::range) const;
};

/// out[n] = accumulator[n] + sum_i x[i, n]. out may have the memory of the accumulator.
struct SumRowsSpec {
  enum class Operand : uint8_t { accumulator, x, out, count };
  Extent rows, columns;

  /// The same for every Walk.
  std::string key(Walk walk = Walk::range) const;
};

/// table[ids[i], c] += rows[i, c] for i < count, in order. Ids are clamped to the table.
struct ScatterAddSpec {
  enum class Operand : uint8_t { ids, rows, table, count };
  int64_t table_rows = 0;
  Extent count, columns;

  /// The same for every Walk.
  std::string key(Walk walk = Walk::range) const;
};

inline std::string LayerNormGradSpec::key(Walk walk) const {
  const auto &[x, epsilon] = *this;
  return Key(x.key("layer_norm_grad", walk)).bits("eps", epsilon).text;
}

inline std::string AdamWSpec::key(Walk) const {
  // The key leaves out `elements`: each call passes the number of elements.
  const auto &[beta1, beta2, epsilon, decay, lr_scale, pull, elements] = *this;
  Key key("adamw");
  for (float number : {beta1, beta2, epsilon, decay, lr_scale, pull}) key.bits("", number);
  return key.text;
}

inline std::string DropoutSpec::key(Walk) const {
  // The key leaves out `elements`: each call passes the number of elements.
  const auto &[rate, stream, elements] = *this;
  return Key("dropout").bits("", rate).size("", int64_t(stream)).text;
}

inline std::string SumRowsSpec::key(Walk) const {
  const auto &[rows, columns] = *this;
  return Key("sum_rows").size("r", rows).size("c", columns).text;
}

inline std::string ScatterAddSpec::key(Walk) const {
  const auto &[table_rows, count, columns] = *this;
  return Key("scatter_add").size("v", table_rows).size("n", count).size("c", columns).text;
}

} // namespace linnet::backend
