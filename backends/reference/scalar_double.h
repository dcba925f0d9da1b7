// The interpreter's scalar builder (backends/common/scalar.h): it computes in double.
#pragma once
#include "backends/reference/ops.h"

#include <cmath>

namespace linnet::reference {

struct DoubleScalars {
  using Value = double;
  double constant(double x) { return x; }
  double add(double a, double b) { return a + b; }
  double sub(double a, double b) { return a - b; }
  double mul(double a, double b) { return a * b; }
  double div(double a, double b) { return a / b; }
  double fma(double a, double b, double c) { return a * b + c; }
  bool less(double a, double b) { return a < b; }
  double select(bool condition, double a, double b) { return condition ? a : b; }
  double max(double a, double b) { return std::isnan(a) ? a : std::isnan(b) ? b : a > b ? a : b; }
  double min(double a, double b) { return std::isnan(a) ? a : std::isnan(b) ? b : a < b ? a : b; }
  double neg(double x) { return -x; }
  double exp(double x) { return std::exp(x); }
  double log(double x) { return std::log(x); }
  double tanh(double x) { return std::tanh(x); }
  double erf(double x) { return std::erf(x); }
  double sqrt(double x) { return std::sqrt(x); }
  /// Rounds to a float type. To an integer type, truncates towards zero with saturation; NaN becomes 0.
  double cast(double x, mlir::Type, mlir::Type to) {
    Kind kind = kindOf(to);
    if (kind == Kind::f32 || kind == Kind::f16 || kind == Kind::bf16) return rounded(kind, x);
    if (std::isnan(x)) return 0;
    double low = kind == Kind::i8 ? -128.0 : -2147483648.0, high = kind == Kind::i8 ? 127.0 : 2147483647.0;
    return std::trunc(x < low ? low : x > high ? high : x);
  }
};

} // namespace linnet::reference
