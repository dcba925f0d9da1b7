// 16-bit floats: IEEE half and bfloat16. Conversions round to nearest even. Overflow gives infinity, and NaN
// stays NaN.
#pragma once
#include <bit>
#include <cstdint>

namespace linnet {

// The four conversions have no branches, so compilers vectorize loops over them.

/// The shifted exponent and mantissa of a half are a float that is 2^112 too small. A multiplication corrects
/// it, also for subnormals.
inline float fromHalf(uint16_t bits) {
  uint32_t magnitude = bits & 0x7fffu, sign = uint32_t(bits & 0x8000u) << 16;
  float value = std::bit_cast<float>(magnitude << 13) * 0x1p112f;
  uint32_t special = magnitude >= 0x7c00 ? 0x7f800000u : 0; // infinity and NaN
  return std::bit_cast<float>(std::bit_cast<uint32_t>(value) | special | sign);
}

/// Normal halves are rounded with integer arithmetic; subnormal ones by adding a number whose last place is
/// 2^-24.
inline uint16_t toHalf(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
  uint32_t normal = (magnitude - 0x38000000u + 0xfff + (magnitude >> 13 & 1)) >> 13;
  uint32_t small = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - 0x3f000000u;
  uint32_t half = magnitude < 0x38800000 ? small : normal;
  half = magnitude >= 0x47800000 ? 0x7c00 : half; // from 65536 on; rounding up to 65536 carries into infinity
  half = magnitude > 0x7f800000 ? 0x7e00 : half;
  return static_cast<uint16_t>(sign | half);
}

inline uint16_t toBfloat(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value), rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  return static_cast<uint16_t>((bits & 0x7fffffff) > 0x7f800000 ? bits >> 16 | 0x40 : rounded);
}
inline float fromBfloat(uint16_t bits) { return std::bit_cast<float>(uint32_t(bits) << 16); }

} // namespace linnet
