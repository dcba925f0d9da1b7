// Matmuls whose operands are both row-major.
#pragma once
#include "backends/common/specs/spec.h"

#include <fmt/format.h>

namespace linnet::backend {

/// The largest e of linnet.matmul's int8_group: a group's step is at least 2^-e of the row's.
constexpr int64_t kMostInt8Exponent = 8;

/// out[g, m, n] = activation(sum_k a[g, m, k] w[g, k, n] + bias[n]) + residual[g, m, n].
struct MatmulSpec {
  enum class Operand : uint8_t { a, w, out, bias, residual, scale, count };
  Extent groups, m, k, n;
  bool transpose_a = false; ///< a is (g, k, m), else (g, m, k)
  bool transpose_w = false; ///< w is (g, n, k), else (g, k, n)
  bool shared_w = true;     ///< w has no dimension g
  bool bias = false, residual = false;
  Type type = Type::f32, a = Type::f32, w = Type::f32; ///< type: of bias, residual and out
  Activation activation = Activation::none;
  /// the integers of w are multiplied by scale (scale_rows, n), or (n, scale_rows) if w is transposed
  bool scaled = false;
  /// group: rows of w that share a row of scale, 0 if all do; scale_rows: rows of scale
  int64_t group = 0, scale_rows = 1;
  bool asymmetric = false; ///< a group has two rows of scale, the second one of minima (see linnet.matmul)

  bool has(Operand operand) const {
    return operand == Operand::bias       ? bias
           : operand == Operand::residual ? residual
           : operand == Operand::scale    ? scaled
                                          : true;
  }
  Extent elements() const { return groups * m * n; }
  /// With `any_size`, the key leaves out m, k and n: each call passes them.
  std::string key(bool any_size = false) const;
};

inline std::string MatmulSpec::key(bool any_size) const {
  const auto &[groups, m, k, n, transpose_a, transpose_w, shared_w, bias, residual, type, a, w, activation,
               scaled, group, scale_rows, asymmetric] =
      *this; // The key leaves out `groups`: it only counts items, or each call passes it.
  Key key("matmul");
  key.type(type).word(fmt::format("{}{}", transpose_a ? "t" : "n", transpose_w ? "t" : "n"));
  key.word(shared_w ? "shared" : "grouped").flag("bias", bias);
  key.text += suffixOf(activation);
  key.flag("residual", residual);
  if (!any_size) key.size("m", m).size("k", k).size("n", n);
  key.type("a", a, type).type("w", w, type);
  if (scaled) key.word(fmt::format("scaled{}of{}", group, scale_rows)).flag("asymmetric", asymmetric);
  return key.text;
}

} // namespace linnet::backend
