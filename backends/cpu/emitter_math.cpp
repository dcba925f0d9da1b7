// Elementary functions on f32 vectors (backends/common/math.h) and conversions of elements.
#include "backends/common/math.h"
#include "backends/cpu/vector_math.h"

namespace linnet::cpu {
Value *Emitter::bits(Value *x) { return b.CreateBitCast(x, intType(lanesOf(x))); }
Value *Emitter::real(Value *x) { return b.CreateBitCast(x, floatType(lanesOf(x))); }
Value *Emitter::sqrt(Value *x) { return b.CreateUnaryIntrinsic(llvm::Intrinsic::sqrt, x); }

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

template <class F> static Value *with(Emitter &e, F f) {
  VectorMath math{e};
  return f(math);
}
Value *Emitter::exp(Value *x) {
  return with(*this, [&](VectorMath &math) { return emitExp(math, x); });
}
Value *Emitter::log(Value *x) {
  return with(*this, [&](VectorMath &math) { return emitLog(math, x); });
}
Value *Emitter::tanh(Value *x) {
  return with(*this, [&](VectorMath &math) { return emitTanh(math, x); });
}
Value *Emitter::erf(Value *x) {
  return with(*this, [&](VectorMath &math) { return emitErf(math, x); });
}
Value *Emitter::activate(Activation activation, Value *x) {
  return with(*this, [&](VectorMath &math) { return emitActivation(math, activation, x); });
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
  // The shifted bits are the value times 2^-112. Infinities and NaN get f32's largest exponent.
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
  // Normal numbers: adds half a unit of the last kept bit, ties to even. Denormal numbers: adding 1/2 rounds at the
  // right bit.
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
