// Elementary functions on f32 and activations, written once for every backend as templates over the builder B of
// scalar.h. Each polynomial is a minimax fit (Remez exchange in 120-bit arithmetic) of the function above it.
// tests/cpu/math_test.cpp holds the errors in units in the last place.
//
// Activations need these functions of B besides those of scalar.h:
//
//   Value fma(Value x, Value y, Value z);            x y + z, rounded once or twice
//   less|equal(Value x, Value y);                    a condition, false if either is NaN
//   Value select(condition, Value x, Value y);
//
// exp, log, tanh and erf also need these, unless B has its own versions of them:
//
//   Value abs(Value), copySign(Value magnitude, Value sign);
//   Integer integer(int32_t), integerBits(Value);    i32, one for each element of the value
//   Integer iadd|isub(Integer, Integer), shiftLeft(Integer, int), shiftRight(Integer, int);   arithmetic shifts
//   Integer iselect(condition, Integer, Integer);
//   Value floatBits(Integer), toFloat(Integer);      reinterprets the bits; converts the value
//   std::pair<Value, Integer> wholeMultiples(Value x, double factor);   x factor, rounded to the nearest integer
#pragma once
#include "backends/common/kernel_types.h"
#include "support/activation.h"

#include <cmath>
#include <initializer_list>
#include <limits>

namespace linnet {

constexpr double kLn2High = 0.693359375; // few mantissa bits, so that n * kLn2High is exact
constexpr double kLn2Low = -2.12194440054690583e-4;
constexpr int kMantissaBits = 23, kExponentBias = 127;

/// The sum of coefficients[i] x^i.
template <class B>
typename B::Value emitPolynomial(B &b, typename B::Value x, std::initializer_list<double> coefficients) {
  auto next = std::rbegin(coefficients);
  typename B::Value sum = b.constant(*next);
  while (++next != std::rend(coefficients)) sum = b.fma(sum, x, b.constant(*next));
  return sum;
}

/// e^x = 2^n e^r with n = round(x / ln 2), |r| <= ln 2 / 2. 2^n is multiplied as two factors, so that the largest and
/// the denormal results round once.
template <class B> typename B::Value emitExp(B &b, typename B::Value x) {
  constexpr double kLeast = -104, kMost = 89,
                   kLog2e = 1.4426950408889634; // below kLeast the result is 0, above kMost infinity
  x = b.select(b.less(b.constant(kMost), x), b.constant(kMost), x);
  x = b.select(b.less(x, b.constant(kLeast)), b.constant(kLeast), x);
  auto [whole, exponent] = b.wholeMultiples(x, kLog2e);
  auto r = b.fma(whole, b.constant(-kLn2High), x);
  r = b.fma(whole, b.constant(-kLn2Low), r);
  // (e^r - 1 - r) / r^2
  auto p = emitPolynomial(b, r, {0.4999999263, 0.1666650872, 0.04166852824, 0.00837013496, 0.001381166439});
  p = b.add(b.fma(b.mul(r, r), p, r), b.constant(1));
  auto half = b.shiftRight(exponent, 1);
  auto power = [&](auto e) {
    return b.floatBits(b.shiftLeft(b.iadd(e, b.integer(kExponentBias)), kMantissaBits));
  };
  return b.mul(b.mul(p, power(half)), power(b.isub(exponent, half)));
}

/// ln x = e ln 2 + ln(1 + f) with 1 + f in [sqrt 1/2, sqrt 2).
template <class B> typename B::Value emitLog(B &b, typename B::Value x) {
  constexpr int32_t kSqrtHalf = 0x3f3504f3; // the bits of sqrt(1/2) as f32
  auto denormal = b.less(x, b.constant(0x1p-126));
  auto scaled = b.select(denormal, b.mul(x, b.constant(0x1p23)), x);
  auto e = b.shiftRight(b.isub(b.integerBits(scaled), b.integer(kSqrtHalf)), kMantissaBits);
  auto f = b.sub(b.floatBits(b.isub(b.integerBits(scaled), b.shiftLeft(e, kMantissaBits))), b.constant(1));
  e = b.isub(e, b.iselect(denormal, b.integer(kMantissaBits), b.integer(0)));
  auto exponent = b.toFloat(e), square = b.mul(f, f);
  // (ln(1 + f) - f + f^2 / 2) / f^3
  auto p = emitPolynomial(b, f,
                          {0.3333331261, -0.250000096, 0.2000211863, -0.1666799578, 0.1421955254,
                           -0.124055896, 0.1188816288, -0.1167565067, 0.06746637519});
  auto y = b.mul(b.mul(square, f), p);
  y = b.fma(exponent, b.constant(kLn2Low), y);
  y = b.fma(square, b.constant(-0.5), y);
  auto result = b.fma(exponent, b.constant(kLn2High), b.add(f, y));
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  result = b.select(b.less(x, b.constant(kInfinity)), result, x); // infinity and NaN are their own logarithms
  result = b.select(b.less(x, b.constant(0)), b.constant(std::nan("")), result);
  return b.select(b.equal(x, b.constant(0)), b.constant(-kInfinity), result);
}

/// Odd polynomial for |x| < kNear, otherwise 1 - 2 / (e^2|x| + 1).
template <class B> typename B::Value emitTanh(B &b, typename B::Value x) {
  constexpr double kNear = 0.625;
  auto t = b.abs(x), square = b.mul(x, x);
  // (tanh x - x) / x^3 in x^2
  auto p = emitPolynomial(b, square,
                          {-0.3333328194, 0.1333144222, -0.05373971598, 0.02063908849, -0.005704987218});
  auto small = b.fma(b.mul(square, p), t, t);
  auto e = emitExp(b, b.add(t, t));
  auto large = b.sub(b.constant(1), b.div(b.constant(2), b.add(e, b.constant(1))));
  return b.copySign(b.select(b.less(t, b.constant(kNear)), small, large), x);
}

/// Odd polynomial for |x| < kNear, otherwise 1 - e^q(|x|) with q = ln erfc. From kOne on erf rounds to 1.
template <class B> typename B::Value emitErf(B &b, typename B::Value x) {
  constexpr double kNear = 0.93, kOne = 3.95;
  auto t = b.abs(x), square = b.mul(x, x);
  auto p = emitPolynomial(
      b, square,
      {0.1283791477, -0.376124811, 0.1128168254, -0.02676171982, 0.004985940426, -0.0005953740461});
  auto small = b.fma(p, t, t);
  t = b.select(b.less(b.constant(kOne), t), b.constant(kOne), t);
  auto q = emitPolynomial(b, t,
                          {-0.0002070321265, -1.127627296, -0.6372659399, -0.1038561984, 0.02218968616,
                           -0.003033668158, 0.0001949441237});
  auto large = b.sub(b.constant(1), emitExp(b, q));
  return b.copySign(b.select(b.less(t, b.constant(kNear)), small, large), x);
}

/// x / (1 + e^(-slope x)).
template <class B> typename B::Value emitSigmoidLinear(B &b, typename B::Value x, double slope) {
  return b.div(x, b.add(b.exp(b.mul(x, b.constant(-slope))), b.constant(1)));
}

/// One element of an activation. linnet.gelu and linnet.silu have the formulas.
template <class B>
typename B::Value emitActivation(B &b, backend::Activation activation, typename B::Value x) {
  switch (activation) {
  case backend::Activation::none:
    return x;
  case backend::Activation::relu:
    return b.select(b.less(x, b.constant(0)), b.constant(0), x);
  case backend::Activation::gelu_erf: {
    auto half = b.mul(x, b.constant(0.5));
    return b.fma(half, b.erf(b.mul(x, b.constant(std::sqrt(0.5)))), half);
  }
  case backend::Activation::gelu_tanh: {
    // x/2 (1 + tanh u) = x / (1 + e^-2u). The second form does not cancel if tanh u is near -1.
    const double k = 2 * std::sqrt(2 / M_PI);
    auto u = b.mul(x, b.fma(b.mul(x, x), b.constant(-k * 0.044715), b.constant(-k)));
    return b.div(x, b.add(b.exp(u), b.constant(1)));
  }
  case backend::Activation::gelu_quick:
    return emitSigmoidLinear(b, x, kGeluQuickSlope);
  case backend::Activation::silu:
    return emitSigmoidLinear(b, x, kSiluSlope);
  }
  return x;
}

} // namespace linnet
