// The builder of backends/common/{scalar,math}.h for LLVM vectors. Floats of every width are computed in f32, integers
// in i32. A constant is a scalar until an operation combines it with a vector.
#pragma once
#include "backends/cpu/emitter.h"

#include <algorithm>
#include <llvm/IR/Intrinsics.h>

namespace linnet::cpu {

struct VectorMath {
  using Value = llvm::Value *;
  Emitter &e;

  Value constant(double value) { return e.f32(value); }
  Value add(Value x, Value y) { return match(x, y), e.b.CreateFAdd(x, y); }
  Value sub(Value x, Value y) { return match(x, y), e.b.CreateFSub(x, y); }
  Value mul(Value x, Value y) { return match(x, y), e.b.CreateFMul(x, y); }
  Value div(Value x, Value y) { return match(x, y), e.b.CreateFDiv(x, y); }
  Value max(Value x, Value y) { return match(x, y), e.maximum(x, y); }
  Value min(Value x, Value y) { return match(x, y), e.minimum(x, y); }
  Value fma(Value x, Value y, Value z) { return match(x, y, z), e.fma(x, y, z); }
  Value less(Value x, Value y) { return match(x, y), e.b.CreateFCmpOLT(x, y); }
  Value equal(Value x, Value y) { return match(x, y), e.b.CreateFCmpOEQ(x, y); }
  Value select(Value condition, Value x, Value y) {
    return match(condition, x, y), e.b.CreateSelect(condition, x, y);
  }
  Value neg(Value x) { return e.b.CreateFNeg(x); }
  Value sqrt(Value x) { return e.sqrt(x); }
  Value exp(Value x) { return e.exp(x); }
  Value log(Value x) { return e.log(x); }
  Value tanh(Value x) { return e.tanh(x); }
  Value erf(Value x) { return e.erf(x); }

  // --- bits, for math.h
  Value abs(Value x) { return e.b.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, x); }
  Value copySign(Value magnitude, Value sign) {
    return e.b.CreateBinaryIntrinsic(llvm::Intrinsic::copysign, magnitude, sign);
  }
  Value integer(int32_t value) { return e.b.getInt32(uint32_t(value)); }
  Value integerBits(Value x) { return e.b.CreateBitCast(x, e.intType(Emitter::lanesOf(x))); }
  Value floatBits(Value x) { return e.b.CreateBitCast(x, e.floatType(Emitter::lanesOf(x))); }
  Value toFloat(Value x) { return e.b.CreateSIToFP(x, e.floatType(Emitter::lanesOf(x))); }
  Value iadd(Value x, Value y) { return match(x, y), e.b.CreateAdd(x, y); }
  Value isub(Value x, Value y) { return match(x, y), e.b.CreateSub(x, y); }
  Value iselect(Value condition, Value x, Value y) { return select(condition, x, y); }
  Value shiftLeft(Value x, int bits) { return e.b.CreateShl(x, uint64_t(bits)); }
  Value shiftRight(Value x, int bits) { return e.b.CreateAShr(x, uint64_t(bits)); }
  /// Plain x86-64 has no rounding instruction. Adding 1.5 * 2^23 leaves the rounded integer in the low bits.
  std::pair<Value, Value> wholeMultiples(Value x, double factor) {
    Value round = constant(0x1.8p23), shifted = fma(x, constant(factor), round);
    return {sub(shifted, round), isub(integerBits(shifted), integerBits(round))};
  }

private:
  /// Repeats scalars if another operand is a vector.
  template <class... Operands> void match(Operands &...x) {
    const int lanes = std::max({Emitter::lanesOf(x)...});
    ((x = Emitter::lanesOf(x) == lanes ? x : e.splat(x, lanes)), ...);
  }
};

} // namespace linnet::cpu
