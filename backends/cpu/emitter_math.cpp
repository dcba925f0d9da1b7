// Elementary functions on f32 vectors. Polynomials are minimax fits (Remez exchange in 120-bit arithmetic) of
// the functions that the comments name; tests/cpu/math_test.cpp holds the bounds in units in the last place.
#include "backends/cpu/emitter.h"
#include "support/activation.h"

#include <cmath>
#include <limits>
#include <llvm/IR/Intrinsics.h>

namespace linnet::cpu {
namespace {
constexpr double kRound = 12582912.0; // 1.5 * 2^23: adding it rounds to an integer in the low bits
constexpr double kLog2e = 1.4426950408889634;
constexpr double kLn2High = 0.693359375; // few bits: n * kLn2High is exact
constexpr double kLn2Low = -2.12194440054690583e-4;
constexpr double kInfinity = std::numeric_limits<double>::infinity();
} // namespace

Value *Emitter::bits(Value *x) { return b.CreateBitCast(x, intType(lanesOf(x))); }
Value *Emitter::real(Value *x) { return b.CreateBitCast(x, floatType(lanesOf(x))); }
Value *Emitter::magnitude(Value *x) { return b.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, x); }
Value *Emitter::sqrt(Value *x) { return b.CreateUnaryIntrinsic(llvm::Intrinsic::sqrt, x); }
Value *Emitter::copySign(Value *magnitude, Value *sign) {
  return b.CreateBinaryIntrinsic(llvm::Intrinsic::copysign, magnitude, sign);
}

Value *Emitter::fma(Value *x, Value *y, Value *z) {
  if (!isa.fma) return b.CreateFAdd(b.CreateFMul(x, y), z);
  return b.CreateIntrinsic(llvm::Intrinsic::fma, {x->getType()}, {x, y, z});
}

Value *Emitter::maxOf(Value *x, Value *y) { return b.CreateSelect(b.CreateFCmpOGT(x, y), x, y); }
Value *Emitter::maximum(Value *x, Value *y) {
  return b.CreateSelect(b.CreateFCmpUNO(x, x), x, b.CreateSelect(b.CreateFCmpOGT(x, y), x, y));
}
Value *Emitter::minimum(Value *x, Value *y) {
  return b.CreateSelect(b.CreateFCmpUNO(x, x), x, b.CreateSelect(b.CreateFCmpOLT(x, y), x, y));
}

Value *Emitter::polynomial(Value *x, llvm::ArrayRef<double> coefficients) {
  const int n = lanesOf(x);
  Value *sum = f32(coefficients.back(), n);
  for (double coefficient : llvm::reverse(coefficients.drop_back())) sum = fma(sum, x, f32(coefficient, n));
  return sum;
}

// e^x = 2^n e^r with n = round(x / ln 2), |r| <= ln 2 / 2; 2^n in two factors, so that the largest and the
// denormal results round once.
Value *Emitter::exp(Value *x) {
  const int n = lanesOf(x);
  x = b.CreateSelect(b.CreateFCmpOGT(x, f32(89, n)), f32(89, n), x);
  x = b.CreateSelect(b.CreateFCmpOLT(x, f32(-104, n)), f32(-104, n), x);
  Value *shifted = fma(x, f32(kLog2e, n), f32(kRound, n));
  Value *whole = b.CreateFSub(shifted, f32(kRound, n));
  Value *r = fma(whole, f32(-kLn2High, n), x);
  r = fma(whole, f32(-kLn2Low, n), r);
  // (e^r - 1 - r) / r^2
  Value *p = polynomial(r, {0.4999999263, 0.1666650872, 0.04166852824, 0.00837013496, 0.001381166439});
  p = b.CreateFAdd(fma(b.CreateFMul(r, r), p, r), f32(1, n));
  Value *exponent = b.CreateSub(bits(shifted), bits(f32(kRound, n)));
  Value *half = b.CreateAShr(exponent, 1);
  auto power = [&](Value *e) {
    return real(b.CreateShl(b.CreateAdd(e, llvm::ConstantInt::get(e->getType(), 127)), 23));
  };
  return b.CreateFMul(b.CreateFMul(p, power(half)), power(b.CreateSub(exponent, half)));
}

// ln x = e ln 2 + ln(1 + f) with 1 + f in [sqrt 1/2, sqrt 2).
Value *Emitter::log(Value *x) {
  const int n = lanesOf(x);
  auto integer = [&](int64_t value) { return llvm::ConstantInt::get(intType(n), value); };
  Value *denormal = b.CreateFCmpOLT(x, f32(std::ldexp(1.0, -126), n));
  Value *scaled = b.CreateSelect(denormal, b.CreateFMul(x, f32(8388608.0, n)), x);
  Value *e = b.CreateAShr(b.CreateSub(bits(scaled), integer(0x3f3504f3)), 23);
  Value *f = b.CreateFSub(real(b.CreateSub(bits(scaled), b.CreateShl(e, 23))), f32(1, n));
  e = b.CreateSub(e, b.CreateSelect(denormal, integer(23), integer(0)));
  Value *exponent = b.CreateSIToFP(e, floatType(n));
  Value *square = b.CreateFMul(f, f);
  // (ln(1 + f) - f + f^2 / 2) / f^3
  Value *p = polynomial(f, {0.3333331261, -0.250000096, 0.2000211863, -0.1666799578, 0.1421955254,
                            -0.124055896, 0.1188816288, -0.1167565067, 0.06746637519});
  Value *y = b.CreateFMul(b.CreateFMul(square, f), p);
  y = fma(exponent, f32(kLn2Low, n), y);
  y = fma(square, f32(-0.5, n), y);
  Value *result = fma(exponent, f32(kLn2High, n), b.CreateFAdd(f, y));
  result = b.CreateSelect(b.CreateFCmpOEQ(x, f32(kInfinity, n)), x, result);
  result = b.CreateSelect(b.CreateFCmpULT(x, f32(0, n)), f32(std::nan(""), n), result);
  return b.CreateSelect(b.CreateFCmpOEQ(x, f32(0, n)), f32(-kInfinity, n), result);
}

// Odd polynomial near 0; 1 - 2 / (e^2|x| + 1) elsewhere.
Value *Emitter::tanh(Value *x) {
  const int n = lanesOf(x);
  Value *t = magnitude(x), *square = b.CreateFMul(x, x);
  // (tanh x - x) / x^3 in x^2
  Value *p =
      polynomial(square, {-0.3333328194, 0.1333144222, -0.05373971598, 0.02063908849, -0.005704987218});
  Value *small = fma(b.CreateFMul(square, p), t, t);
  Value *e = exp(b.CreateFAdd(t, t));
  Value *large = b.CreateFSub(f32(1, n), b.CreateFDiv(f32(2, n), b.CreateFAdd(e, f32(1, n))));
  return copySign(b.CreateSelect(b.CreateFCmpOLT(t, f32(0.625, n)), small, large), x);
}

// Odd polynomial near 0; 1 - e^q(|x|) with q = ln erfc elsewhere; 1 from 3.95 on.
Value *Emitter::erf(Value *x) {
  const int n = lanesOf(x);
  Value *t = magnitude(x), *square = b.CreateFMul(x, x);
  Value *p = polynomial(
      square, {0.1283791477, -0.376124811, 0.1128168254, -0.02676171982, 0.004985940426, -0.0005953740461});
  Value *small = fma(p, t, t);
  t = b.CreateSelect(b.CreateFCmpOGT(t, f32(3.95, n)), f32(3.95, n), t);
  Value *q = polynomial(t, {-0.0002070321265, -1.127627296, -0.6372659399, -0.1038561984, 0.02218968616,
                            -0.003033668158, 0.0001949441237});
  Value *large = b.CreateFSub(f32(1, n), exp(q));
  return copySign(b.CreateSelect(b.CreateFCmpOLT(t, f32(0.93, n)), small, large), x);
}

// x/2 (1 + tanh u) = x / (1 + e^-2u), which loses nothing where tanh u nears -1.
Value *Emitter::geluTanh(Value *x) {
  const int n = lanesOf(x);
  const double k = 2 * std::sqrt(2 / M_PI);
  Value *square = b.CreateFMul(x, x);
  Value *u = b.CreateFMul(x, fma(square, f32(-k * 0.044715, n), f32(-k, n)));
  return b.CreateFDiv(x, b.CreateFAdd(exp(u), f32(1, n)));
}

Value *Emitter::geluErf(Value *x) {
  const int n = lanesOf(x);
  Value *half = b.CreateFMul(x, f32(0.5, n));
  return fma(half, erf(b.CreateFMul(x, f32(std::sqrt(0.5), n))), half);
}

Value *Emitter::geluQuick(Value *x) { return sigmoidLinear(x, kGeluQuickSlope); }
Value *Emitter::silu(Value *x) { return sigmoidLinear(x, kSiluSlope); }

Value *Emitter::sigmoidLinear(Value *x, double slope) {
  const int n = lanesOf(x);
  return b.CreateFDiv(x, b.CreateFAdd(exp(b.CreateFMul(x, f32(-slope, n))), f32(1, n)));
}

Value *Emitter::activate(Activation activation, Value *x) {
  switch (activation) {
  case Activation::none:
    return x;
  case Activation::relu:
    return b.CreateSelect(b.CreateFCmpOLT(x, f32(0, lanesOf(x))), f32(0, lanesOf(x)), x);
  case Activation::gelu_erf:
    return geluErf(x);
  case Activation::gelu_tanh:
    return geluTanh(x);
  case Activation::gelu_quick:
    return geluQuick(x);
  case Activation::silu:
    return silu(x);
  }
  return x;
}

// --- conversions

Value *Emitter::convert(Value *x, Type to) {
  const int n = lanesOf(x);
  const bool real_value = x->getType()->isFPOrFPVectorTy();
  if (isFloat(to)) {
    if (!real_value) x = b.CreateSIToFP(x, floatType(n));
    if (to == Type::f16) return loadHalf(toHalf(x), n);
    if (to == Type::bf16) return real(b.CreateShl(b.CreateZExt(toBfloat(x), intType(n)), 16));
    return x;
  }
  if (!real_value) return to == Type::i8 ? b.CreateSExt(b.CreateTrunc(x, intType(n, 8)), intType(n)) : x;
  llvm::Type *narrow = intType(n, to == Type::i8 ? 8 : 32);
  Value *integer = b.CreateIntrinsic(llvm::Intrinsic::fptosi_sat, {narrow, x->getType()}, {x});
  return to == Type::i8 ? b.CreateSExt(integer, intType(n)) : integer;
}

Value *Emitter::loadHalf(Value *raw, int lanes) {
  if (isa.f16) {
    llvm::Type *half =
        lanes == 1 ? b.getHalfTy() : (llvm::Type *)llvm::FixedVectorType::get(b.getHalfTy(), lanes);
    return b.CreateFPExt(b.CreateBitCast(raw, half), floatType(lanes));
  }
  // Shifted into place the value is 2^-112 times too small; infinities and NaN get their exponent back.
  auto integer = [&](int64_t value) { return llvm::ConstantInt::get(intType(lanes), value); };
  Value *h = b.CreateZExt(raw, intType(lanes));
  Value *shifted = b.CreateShl(b.CreateAnd(h, integer(0x7fff)), 13);
  Value *finite = bits(b.CreateFMul(real(shifted), f32(std::ldexp(1.0, 112), lanes)));
  Value *special = b.CreateICmpUGE(b.CreateAnd(h, integer(0x7fff)), integer(0x7c00));
  Value *value = b.CreateSelect(special, b.CreateOr(shifted, integer(0x7f800000)), finite);
  return real(b.CreateOr(value, b.CreateShl(b.CreateAnd(h, integer(0x8000)), 16)));
}

Value *Emitter::toHalf(Value *x) {
  const int n = lanesOf(x);
  llvm::Type *stored = intType(n, 16);
  if (isa.f16) {
    llvm::Type *half = n == 1 ? b.getHalfTy() : (llvm::Type *)llvm::FixedVectorType::get(b.getHalfTy(), n);
    return b.CreateBitCast(b.CreateFPTrunc(x, half), stored);
  }
  auto integer = [&](int64_t value) { return llvm::ConstantInt::get(intType(n), value); };
  Value *all = bits(x), *sign = b.CreateAnd(all, integer(0x80000000)), *mag = b.CreateXor(all, sign);
  // Normal: add half of the last kept bit, ties to even. Denormal: an addition of 1/2 rounds at the right
  // bit.
  Value *odd = b.CreateAnd(b.CreateLShr(mag, 13), integer(1));
  Value *normal =
      b.CreateLShr(b.CreateAdd(b.CreateAdd(mag, integer(int64_t(15 - 127) * (1 << 23) + 0xfff)), odd), 13);
  Value *small = b.CreateSub(bits(b.CreateFAdd(real(mag), f32(0.5, n))), bits(f32(0.5, n)));
  Value *special =
      b.CreateSelect(b.CreateICmpUGT(mag, integer(0x7f800000)), integer(0x7e00), integer(0x7c00));
  Value *value = b.CreateSelect(b.CreateICmpULT(mag, integer(0x38800000)), small, normal);
  value = b.CreateSelect(b.CreateICmpUGE(mag, integer(0x47800000)), special, value);
  return b.CreateTrunc(b.CreateOr(value, b.CreateLShr(sign, 16)), stored);
}

Value *Emitter::toBfloat(Value *x) {
  const int n = lanesOf(x);
  auto integer = [&](int64_t value) { return llvm::ConstantInt::get(intType(n), value); };
  Value *all = bits(x);
  Value *odd = b.CreateAnd(b.CreateLShr(all, 16), integer(1));
  Value *rounded = b.CreateLShr(b.CreateAdd(b.CreateAdd(all, integer(0x7fff)), odd), 16);
  Value *quiet = b.CreateOr(b.CreateLShr(all, 16), integer(0x40));
  return b.CreateTrunc(b.CreateSelect(b.CreateFCmpUNO(x, x), quiet, rounded), intType(n, 16));
}

} // namespace linnet::cpu
