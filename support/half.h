// Floats of 16 bits: IEEE half and bfloat16, rounded to the nearest, of two the even one; overflow gives
// infinity, NaN stays NaN.
#pragma once
#include <bit>
#include <cstdint>

namespace linnet {

// The four conversions have no branches, so that loops over them become vector code on any machine.

/// A half's exponent and mantissa, shifted into place, are 2^112 too small: a multiplication mends that, for
/// subnormals too.
inline float fromHalf(uint16_t bits) {
  uint32_t magnitude = bits & 0x7fffu, sign = uint32_t(bits & 0x8000u) << 16;
  float value = std::bit_cast<float>(magnitude << 13) * 0x1p112f;
  uint32_t special = magnitude >= 0x7c00 ? 0x7f800000u : 0; // infinity and NaN
  return std::bit_cast<float>(std::bit_cast<uint32_t>(value) | special | sign);
}

/// Normal halves round in integers; subnormal ones by adding a number whose last place is 2^-24.
inline uint16_t toHalf(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
  uint32_t normal = (magnitude - 0x38000000u + 0xfff + (magnitude >> 13 & 1)) >> 13;
  uint32_t small = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - 0x3f000000u;
  uint32_t half = magnitude < 0x38800000 ? small : normal;
  half = magnitude >= 0x47800000 ? 0x7c00 : half; // 65536 and more; what is rounded up to it carries there
  half = magnitude > 0x7f800000 ? 0x7e00 : half;
  return static_cast<uint16_t>(sign | half);
}

inline uint16_t toBfloat(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value), rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  return static_cast<uint16_t>((bits & 0x7fffffff) > 0x7f800000 ? bits >> 16 | 0x40 : rounded);
}
inline float fromBfloat(uint16_t bits) { return std::bit_cast<float>(uint32_t(bits) << 16); }

} // namespace linnet
