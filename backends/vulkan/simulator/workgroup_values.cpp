// Instructions on values. Every lane computes; lanes outside the mask do not use the result.
#include "backends/vulkan/simulator/workgroup.h"
#include "support/half.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace linnet::vulkan {
namespace {

int32_t dividedBy(int32_t a, int32_t b) { return b == 0 ? 0 : static_cast<int32_t>(int64_t(a) / b); }
// The remainder has the divisor's sign.
int32_t moduloOf(int32_t a, int32_t b) {
  if (b == 0) return 0;
  const int64_t rest = int64_t(a) % b;
  return static_cast<int32_t>(rest && (rest < 0) != (b < 0) ? rest + b : rest);
}
template <class To> uint32_t integerOf(float value) {
  if (std::isnan(value)) return 0;
  const double least = double(std::numeric_limits<To>::min()), most = double(std::numeric_limits<To>::max());
  return static_cast<uint32_t>(static_cast<To>(std::clamp(double(value), least, most)));
}

uint32_t bitsOf(uint32_t value, uint32_t offset, uint32_t count, bool with_sign) {
  if (count == 0 || offset >= 32) return 0;
  count = std::min(count, 32 - offset);
  value = value >> offset << (32 - count);
  return with_sign ? static_cast<uint32_t>(asSigned(value) >> (32 - count)) : value >> (32 - count);
}

} // namespace

template <class F> void Workgroup::map1(const CodeInstruction &i, F compute) {
  uint32_t *r = reg(i.result);
  const uint32_t *a = reg(i.in[0]);
  const uint32_t n = i.width * lanes;
#pragma omp simd
  for (uint32_t k = 0; k < n; ++k) r[k] = compute(a[k]);
}
template <class F> void Workgroup::map2(const CodeInstruction &i, F compute) {
  uint32_t *r = reg(i.result);
  const uint32_t *a = reg(i.in[0]), *b = reg(i.in[1]);
  const uint32_t n = i.width * lanes;
#pragma omp simd
  for (uint32_t k = 0; k < n; ++k) r[k] = compute(a[k], b[k]);
}
template <class F> void Workgroup::map3(const CodeInstruction &i, F compute) {
  uint32_t *r = reg(i.result);
  const uint32_t *a = reg(i.in[0]), *b = reg(i.in[1]), *c = reg(i.in[2]);
  const uint32_t n = i.width * lanes;
#pragma omp simd
  for (uint32_t k = 0; k < n; ++k) r[k] = compute(a[k], b[k], c[k]);
}

bool Workgroup::calculate(const CodeInstruction &i) {
  if (!calculateFloats(i) && !calculateIntegers(i) && !arrange(i) && !extended(i)) return false;
  if (i.half) roundHalves(i);
  return true;
}

// Rounds a result of one operation in f32 to f16. f32 has more than twice f16's digits, so this is the same as
// computing in f16.
void Workgroup::roundHalves(const CodeInstruction &i) {
  map1({.width = i.width, .result = i.result, .in = {i.result}},
       [](uint32_t a) { return bitsOfFloat(fromHalf(toHalf(asFloat(a)))); });
}

// clang-format off: a table
bool Workgroup::calculateFloats(const CodeInstruction &i) {
  using U = uint32_t;
  switch (i.op) {
    using enum Opcode;
  case f_add:
    map2(i, [](U a, U b) { return bitsOfFloat(asFloat(a) + asFloat(b)); });
    return true;
  case f_sub:
    map2(i, [](U a, U b) { return bitsOfFloat(asFloat(a) - asFloat(b)); });
    return true;
  case f_mul:
    map2(i, [](U a, U b) { return bitsOfFloat(asFloat(a) * asFloat(b)); });
    return true;
  case f_div:
    map2(i, [](U a, U b) { return bitsOfFloat(asFloat(a) / asFloat(b)); });
    return true;
  case f_negate:
    map1(i, [](U a) { return a ^ 0x80000000u; });
    return true;
  case f_equal:
    map2(i, [](U a, U b) -> U { return asFloat(a) == asFloat(b); });
    return true;
  case f_not_equal:
    map2(i, [](U a, U b) -> U { return asFloat(a) != asFloat(b); });
    return true;
  case f_less:
    map2(i, [](U a, U b) -> U { return asFloat(a) < asFloat(b); });
    return true;
  case f_less_equal:
    map2(i, [](U a, U b) -> U { return asFloat(a) <= asFloat(b); });
    return true;
  case convert_f_to_u:
    map1(i, [](U a) { return integerOf<uint32_t>(asFloat(a)); });
    return true;
  case convert_f_to_s:
    map1(i, [](U a) { return integerOf<int32_t>(asFloat(a)); });
    return true;
  case convert_s_to_f:
    map1(i, [](U a) { return bitsOfFloat(float(asSigned(a))); });
    return true;
  case f_convert: // f16 is f32 in a register already; roundHalves follows for f16
    map1(i, [](U a) { return a; });
    return true;
  case convert_u_to_f:
    map1(i, [](U a) { return bitsOfFloat(float(a)); });
    return true;
  default:
    return false;
  }
}
// clang-format on

// clang-format off: a table
bool Workgroup::calculateIntegers(const CodeInstruction &i) {
  using U = uint32_t;
  switch (i.op) {
    using enum Opcode;
  case i_add:
    map2(i, [](U a, U b) { return a + b; });
    return true;
  case i_sub:
    map2(i, [](U a, U b) { return a - b; });
    return true;
  case i_mul:
    map2(i, [](U a, U b) { return a * b; });
    return true;
  case u_div:
    map2(i, [](U a, U b) { return b ? a / b : 0; });
    return true;
  case s_div:
    map2(i, [](U a, U b) { return U(dividedBy(asSigned(a), asSigned(b))); });
    return true;
  case u_mod:
    map2(i, [](U a, U b) { return b ? a % b : 0; });
    return true;
  case s_mod:
    map2(i, [](U a, U b) { return U(moduloOf(asSigned(a), asSigned(b))); });
    return true;
  case s_negate:
    map1(i, [](U a) { return 0 - a; });
    return true;
  case logical_and:
  case bit_and:
    map2(i, [](U a, U b) { return a & b; });
    return true;
  case logical_or:
  case bit_or:
    map2(i, [](U a, U b) { return a | b; });
    return true;
  case logical_not:
    map1(i, [](U a) { return a ^ 1; });
    return true;
  case bit_xor:
    map2(i, [](U a, U b) { return a ^ b; });
    return true;
  case bit_not:
    map1(i, [](U a) { return ~a; });
    return true;
  case i_equal:
    map2(i, [](U a, U b) -> U { return a == b; });
    return true;
  case i_not_equal:
    map2(i, [](U a, U b) -> U { return a != b; });
    return true;
  case u_less:
    map2(i, [](U a, U b) -> U { return a < b; });
    return true;
  case s_less:
    map2(i, [](U a, U b) -> U { return asSigned(a) < asSigned(b); });
    return true;
  case u_less_equal:
    map2(i, [](U a, U b) -> U { return a <= b; });
    return true;
  case s_less_equal:
    map2(i, [](U a, U b) -> U { return asSigned(a) <= asSigned(b); });
    return true;
  case shift_right:
    map2(i, [](U a, U b) { return a >> (b & 31); });
    return true;
  case shift_right_signed:
    map2(i, [](U a, U b) { return U(asSigned(a) >> (b & 31)); });
    return true;
  case shift_left:
    map2(i, [](U a, U b) { return a << (b & 31); });
    return true;
  case select:
    map3(i, [](U c, U a, U b) { return c ? a : b; });
    return true;
  default:
    return false;
  }
}
// clang-format on

// Vectors, and instructions that reinterpret bits.
bool Workgroup::arrange(const CodeInstruction &i) {
  uint32_t *r = i.result ? reg(i.result) : nullptr;
  switch (i.op) {
    using enum Opcode;
  case bitcast:
    map1(i, [](uint32_t a) { return a; });
    return true;
  case composite_construct:
    for (uint32_t k = 0; k < i.width; ++k) std::copy_n(reg(i.in[k]), lanes, r + size_t(k) * lanes);
    return true;
  case composite_extract:
    std::copy_n(reg(i.in[0]) + size_t(i.in[1]) * lanes, lanes, r);
    return true;
  case vector_times_scalar: {
    const uint32_t *a = reg(i.in[0]), *b = reg(i.in[1]);
    for (uint32_t k = 0; k < i.width; ++k)
      for (uint32_t l = 0; l < lanes; ++l)
        r[k * lanes + l] = bitsOfFloat(asFloat(a[k * lanes + l]) * asFloat(b[l]));
    return true;
  }
  case bit_extract:
  case bit_extract_signed: {
    const uint32_t *a = reg(i.in[0]), *offset = reg(i.in[1]), *count = reg(i.in[2]);
    for (uint32_t k = 0; k < i.width * lanes; ++k)
      r[k] = bitsOf(a[k], offset[k % lanes], count[k % lanes], i.op == bit_extract_signed);
    return true;
  }
  default:
    return false;
  }
}

// clang-format off: a table
bool Workgroup::extended(const CodeInstruction &i) {
  using U = uint32_t;
  if (i.op != Opcode::ext_inst) return false;
  switch (i.extended) {
    using enum Extended;
  case round_even:
    map1(i, [](U a) { return bitsOfFloat(std::nearbyint(asFloat(a))); });
    return true;
  case f_abs:
    map1(i, [](U a) { return a & 0x7fffffffu; });
    return true;
  case s_abs:
    map1(i, [](U a) { return asSigned(a) < 0 ? 0 - a : a; });
    return true;
  case floor:
    map1(i, [](U a) { return bitsOfFloat(std::floor(asFloat(a))); });
    return true;
  case sqrt:
    map1(i, [](U a) { return bitsOfFloat(std::sqrt(asFloat(a))); });
    return true;
  case f_min:
    map2(i, [](U a, U b) { return asFloat(b) < asFloat(a) ? b : a; });
    return true;
  case f_max:
    map2(i, [](U a, U b) { return asFloat(a) < asFloat(b) ? b : a; });
    return true;
  case u_min:
    map2(i, [](U a, U b) { return std::min(a, b); });
    return true;
  case u_max:
    map2(i, [](U a, U b) { return std::max(a, b); });
    return true;
  case s_min:
    map2(i, [](U a, U b) { return asSigned(b) < asSigned(a) ? b : a; });
    return true;
  case s_max:
    map2(i, [](U a, U b) { return asSigned(a) < asSigned(b) ? b : a; });
    return true;
  case pack_half:
  case unpack_half:
    halves(i);
    return true;
  default:
    return false;
  }
}
// clang-format on

void Workgroup::halves(const CodeInstruction &i) {
  uint32_t *r = reg(i.result);
  const uint32_t *a = reg(i.in[0]);
  for (uint32_t l = 0; l < lanes; ++l) {
    if (i.extended == Extended::pack_half)
      r[l] = toHalf(asFloat(a[l])) | uint32_t(toHalf(asFloat(a[lanes + l]))) << 16;
    else
      r[l] = bitsOfFloat(fromHalf(static_cast<uint16_t>(a[l]))),
      r[lanes + l] = bitsOfFloat(fromHalf(static_cast<uint16_t>(a[l] >> 16)));
  }
}

} // namespace linnet::vulkan
