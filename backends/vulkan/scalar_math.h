// The builder of backends/common/{scalar,math}.h for SPIR-V. Floats of every width are computed in f32, integers in
// i32.
#pragma once
#include "backends/vulkan/emitter.h"

namespace linnet::vulkan {

struct ScalarMath {
  using Value = spirv::Value;
  Emitter &e;
  Builder &b = e.b;

  Value real(Value x) { return b.convert(x, Builder::f32()); }
  Value constant(double value) { return e.f(value); }
  Value add(Value x, Value y) { return b.add(real(x), real(y)); }
  Value sub(Value x, Value y) { return b.sub(real(x), real(y)); }
  Value mul(Value x, Value y) { return b.mul(real(x), real(y)); }
  Value div(Value x, Value y) { return b.div(real(x), real(y)); }
  Value max(Value x, Value y) { return e.maximum(real(x), real(y)); }
  Value min(Value x, Value y) { return e.minimum(real(x), real(y)); }
  Value fma(Value x, Value y, Value z) { return b.fma(real(x), real(y), real(z)); }
  Value less(Value x, Value y) { return b.lt(real(x), real(y)); }
  Value equal(Value x, Value y) { return b.eq(real(x), real(y)); }
  Value select(Value condition, Value x, Value y) { return b.select(condition, real(x), real(y)); }
  Value neg(Value x) { return b.neg(real(x)); }
  Value sqrt(Value x) { return b.sqrt(real(x)); }
  Value exp(Value x) { return e.exp(real(x)); }
  Value log(Value x) { return e.log(real(x)); }
  Value tanh(Value x) { return e.tanh(real(x)); }
  Value erf(Value x) { return e.erf(real(x)); }

  // --- bits, for math.h
  Value abs(Value x) { return b.abs(x); }
  Value copySign(Value magnitude, Value sign) {
    constexpr uint32_t kSign = 1u << 31;
    auto bits = [&](Value x) { return b.bitcast(x, Builder::u32()); };
    Value joined = b.bitOr(b.bitAnd(bits(magnitude), e.u(~kSign)), b.bitAnd(bits(sign), e.u(kSign)));
    return b.bitcast(joined, Builder::f32());
  }
  Value integer(int32_t value) { return b.constant(value); }
  Value integerBits(Value x) { return b.bitcast(x, Builder::i32()); }
  Value floatBits(Value x) { return b.bitcast(x, Builder::f32()); }
  Value toFloat(Value x) { return b.convert(x, Builder::f32()); }
  Value iadd(Value x, Value y) { return b.add(x, y); }
  Value isub(Value x, Value y) { return b.sub(x, y); }
  Value iselect(Value condition, Value x, Value y) { return b.select(condition, x, y); }
  Value shiftLeft(Value x, int bits) { return b.shiftLeft(x, e.u(uint64_t(bits))); }
  Value shiftRight(Value x, int bits) { return b.shiftRight(x, e.u(uint64_t(bits))); }
  std::pair<Value, Value> wholeMultiples(Value x, double factor) {
    Value whole = b.roundEven(b.mul(x, constant(factor)));
    return {whole, b.convert(whole, Builder::i32())};
  }
};

} // namespace linnet::vulkan
