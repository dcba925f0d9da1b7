// Matmuls of two row-major operands.
#pragma once
#include "backends/common/specs/spec.h"

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
  bool scaled =
      false; ///< w, of integers, is multiplied by scale (scale_rows, n), or (n, scale_rows) if transposed
  int64_t group = 0, scale_rows = 1; ///< rows of w that share a row of scale (0: all); rows of scale
  bool asymmetric = false;           ///< two rows of scale a group, the second of minima (linnet.matmul)

  bool has(Operand operand) const {
    return operand == Operand::bias       ? bias
           : operand == Operand::residual ? residual
           : operand == Operand::scale    ? scaled
                                          : true;
  }
  Extent elements() const { return groups * m * n; }
  /// `any_size`: the kernel is told the sizes.
  std::string key(bool any_size = false) const;
};

} // namespace linnet::backend
