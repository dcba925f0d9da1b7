// Philox4x32-10, a counter-based random number generator: Salmon, Moraes, Dror, Shaw, "Parallel random
// numbers: as easy as 1, 2, 3", SC 2011. The same key and counter give the same four words on any device.
#pragma once
#include <array>
#include <cstdint>

namespace linnet {

using PhiloxCounter = std::array<uint32_t, 4>;
using PhiloxKey = std::array<uint32_t, 2>;

inline constexpr int kPhiloxRounds = 10;
inline constexpr uint32_t kPhiloxFactors[] = {0xD2511F53, 0xCD9E8D57};
inline constexpr uint32_t kPhiloxSteps[] = {0x9E3779B9, 0xBB67AE85}; ///< golden ratio, sqrt(3) - 1

constexpr PhiloxCounter philox4x32(PhiloxCounter c, PhiloxKey key) {
  for (int round = 0; round < kPhiloxRounds; ++round) {
    uint64_t p0 = uint64_t(kPhiloxFactors[0]) * c[0], p1 = uint64_t(kPhiloxFactors[1]) * c[2];
    c = {uint32_t(p1 >> 32) ^ c[1] ^ key[0], uint32_t(p1), uint32_t(p0 >> 32) ^ c[3] ^ key[1], uint32_t(p0)};
    key[0] += kPhiloxSteps[0];
    key[1] += kPhiloxSteps[1];
  }
  return c;
}

/// A number in [0, 1): a multiple of 2^-24, so it is exact in float. See GenerateOptions::seed.
constexpr float uniformAt(uint64_t seed, uint32_t position, uint32_t copy) {
  PhiloxCounter words = philox4x32({position, 0, copy, 0}, {uint32_t(seed), uint32_t(seed >> 32)});
  return static_cast<float>(words[0] >> 8) * 0x1p-24f;
}

} // namespace linnet
