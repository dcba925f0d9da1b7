// The operations have the order of ggml-quants.c, and CMakeLists.txt forbids the compiler to fuse a multiplication
// and an addition. The results are therefore equal bit by bit.
#include "frontend/checkpoint/ggml_blocks.h"
#include "support/half.h"

#include <cstring>

namespace linnet {
namespace {

constexpr uint32_t kSmall = 32;      ///< elements of a block without K in its type's name
constexpr uint32_t kSuper = 256;     ///< elements of a block with K in its type's name
constexpr uint32_t kScaleBytes = 12; ///< eight scales and eight minima of 6 bits, in q4_k and q5_k

uint32_t byteAt(const std::byte *bytes, uint32_t i) { return std::to_integer<uint32_t>(bytes[i]); }
float halfAt(const std::byte *bytes) {
  uint16_t bits;
  std::memcpy(&bits, bytes, sizeof bits);
  return fromHalf(bits);
}
uint32_t lowNibble(const std::byte *bytes, uint32_t i) { return byteAt(bytes, i) & 15; }
uint32_t highNibble(const std::byte *bytes, uint32_t i) { return byteAt(bytes, i) >> 4; }
/// 16 if bit i of a little-endian bit field is set, otherwise 0.
uint32_t fifthBit(const std::byte *bits, uint32_t i) { return (byteAt(bits, i / 8) >> i % 8 & 1) << 4; }

/// A block of 32 whose low nibbles are its first half and whose high nibbles are its second half.
template <class Convert> void halves(const std::byte *nibbles, float *out, Convert convert) {
  for (uint32_t i = 0; i < kSmall / 2; ++i) {
    out[i] = convert(lowNibble(nibbles, i), i);
    out[i + kSmall / 2] = convert(highNibble(nibbles, i), i + kSmall / 2);
  }
}

void decodeQ8_0(const std::byte *block, float *out) {
  const float scale = halfAt(block);
  for (uint32_t i = 0; i < kSmall; ++i)
    out[i] = static_cast<float>(static_cast<int8_t>(byteAt(block + 2, i))) * scale;
}

/// A q4_0 block is a scale and 16 bytes of nibbles. A q5_0 block has 4 bytes of fifth bits between them.
template <bool kFive> void decodeSymmetric(const std::byte *block, float *out) {
  constexpr int kBias = kFive ? 16 : 8;
  const float scale = halfAt(block);
  const std::byte *fifth = block + 2;
  halves(kFive ? fifth + 4 : fifth, out, [=](uint32_t nibble, uint32_t i) {
    const uint32_t code = kFive ? nibble | fifthBit(fifth, i) : nibble;
    return static_cast<float>(static_cast<int>(code) - kBias) * scale;
  });
}

/// A q4_1 block is a scale, a minimum and 16 bytes of nibbles. A q5_1 block has 4 bytes of fifth bits before the
/// nibbles.
template <bool kFive> void decodeWithMinimum(const std::byte *block, float *out) {
  const float scale = halfAt(block), minimum = halfAt(block + 2);
  const std::byte *fifth = block + 4;
  halves(kFive ? fifth + 4 : fifth, out, [=](uint32_t nibble, uint32_t i) {
    const uint32_t code = kFive ? nibble | fifthBit(fifth, i) : nibble;
    return static_cast<float>(code) * scale + minimum;
  });
}

/// The values of iq4_nl, which are denser around 0. A nibble is the index of one of them.
constexpr int8_t kValues[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

void decodeIq4Nl(const std::byte *block, float *out) {
  const float scale = halfAt(block);
  halves(block + 2, out,
         [&](uint32_t nibble, uint32_t) { return scale * static_cast<float>(kValues[nibble]); });
}

struct ScaleAndMinimum {
  float scale, minimum;
};
/// The scale and the minimum of group j of 8. For j < 4, their six bits are in bytes j and j + 4. Otherwise their
/// lower four bits share byte j + 4, and their upper two are the top bits of bytes j - 4 and j.
ScaleAndMinimum scaleOf(const std::byte *packed, uint32_t j, float scale, float minimum) {
  uint32_t s, m;
  if (j < 4) {
    s = byteAt(packed, j) & 63;
    m = byteAt(packed, j + 4) & 63;
  } else {
    s = lowNibble(packed, j + 4) | byteAt(packed, j - 4) >> 6 << 4;
    m = highNibble(packed, j + 4) | byteAt(packed, j) >> 6 << 4;
  }
  return {scale * static_cast<float>(s), minimum * static_cast<float>(m)};
}

/// A q4_k block is a scale, a minimum, scales and minima of 8 groups of 32, and 128 bytes of nibbles. 32 of these
/// bytes hold one group in their low nibbles and the next group in their high ones. A q5_k block has 32 bytes of
/// fifth bits before the nibbles: bit j of byte i belongs to element i of group j.
template <bool kFive> void decodeGroups(const std::byte *block, float *out) {
  constexpr uint32_t kGroup = kSuper / 8;
  const float scale = halfAt(block), minimum = halfAt(block + 2);
  const std::byte *scales = block + 4, *fifth = scales + kScaleBytes;
  const std::byte *nibbles = kFive ? fifth + kGroup : fifth;
  for (uint32_t j = 0; j < 8; j += 2, nibbles += kGroup) {
    const auto low = scaleOf(scales, j, scale, minimum), high = scaleOf(scales, j + 1, scale, minimum);
    for (uint32_t i = 0; i < kGroup; ++i) {
      const uint32_t bits = kFive ? byteAt(fifth, i) >> j : 0;
      out[j * kGroup + i] =
          low.scale * static_cast<float>(lowNibble(nibbles, i) | (bits & 1) << 4) - low.minimum;
      out[(j + 1) * kGroup + i] =
          high.scale * static_cast<float>(highNibble(nibbles, i) | (bits >> 1 & 1) << 4) - high.minimum;
    }
  }
}

constexpr uint32_t kPerScale = 16; ///< elements of a q6_k block that share a scale
/// Where the scales of a q6_k block begin; the scale of the block follows them.
const std::byte *scalesOfQ6K(const std::byte *block) { return block + kSuper / 2 + kSuper / 4; }
float scaleOfQ6K(const std::byte *block, uint32_t group) {
  const std::byte *scales = scalesOfQ6K(block);
  return halfAt(scales + kSuper / kPerScale) * static_cast<float>(static_cast<int8_t>(byteAt(scales, group)));
}

/// A q6_k block is 128 bytes of nibbles, 64 bytes of upper pairs of bits, 16 scales of 8 bits, and the scale of the
/// block. Each half of the block has four runs of 32 elements. Runs 0 and 1 are the low nibbles of 64 bytes, runs 2
/// and 3 the high ones. The upper bits of run r are pair r of 32 bytes. convert(code, group of 16)
template <class Convert> void elementsOfQ6K(const std::byte *block, float *out, Convert convert) {
  constexpr uint32_t kRun = 32;
  constexpr int kBias = 32;
  const std::byte *nibbles = block, *pairs = nibbles + kSuper / 2;
  for (uint32_t run = 0; run < kSuper / kRun; ++run) {
    const uint32_t half = run / 4, r = run % 4;
    const std::byte *four = nibbles + (half * 2 + r % 2) * kRun, *two = pairs + half * kRun;
    for (uint32_t i = 0; i < kRun; ++i) {
      const uint32_t low = r < 2 ? lowNibble(four, i) : highNibble(four, i);
      const int code = static_cast<int>(low | (byteAt(two, i) >> 2 * r & 3) << 4) - kBias;
      out[run * kRun + i] = convert(static_cast<float>(code), (run * kRun + i) / kPerScale);
    }
  }
}

} // namespace

void decodeBlock(StorageType type, const std::byte *block, float *out) {
  switch (type) {
  case StorageType::q4_0:
    return decodeSymmetric<false>(block, out);
  case StorageType::q4_1:
    return decodeWithMinimum<false>(block, out);
  case StorageType::q5_0:
    return decodeSymmetric<true>(block, out);
  case StorageType::q5_1:
    return decodeWithMinimum<true>(block, out);
  case StorageType::q4_k:
    return decodeGroups<false>(block, out);
  case StorageType::q5_k:
    return decodeGroups<true>(block, out);
  case StorageType::q6_k:
    return elementsOfQ6K(block, out,
                         [&](float code, uint32_t group) { return scaleOfQ6K(block, group) * code; });
  case StorageType::iq4_nl:
    return decodeIq4Nl(block, out);
  default:
    return decodeQ8_0(block, out);
  }
}

std::optional<BlockIntegers> integersOf(StorageType type) {
  switch (type) {
  case StorageType::q4_0:
    return BlockIntegers{4, kSmall, false};
  case StorageType::q4_1:
  case StorageType::q4_k:
    return BlockIntegers{4, kSmall, true};
  case StorageType::q8_0:
  case StorageType::q5_0:
  case StorageType::iq4_nl:
    return BlockIntegers{8, kSmall, false};
  case StorageType::q6_k:
    return BlockIntegers{8, kPerScale, false};
  default:
    return std::nullopt;
  }
}

void decodeIntegers(StorageType type, const std::byte *block, float *out) {
  constexpr int kBias4 = 8, kBias5 = 16;
  const auto four = [](uint32_t nibble, uint32_t) {
    return static_cast<float>(static_cast<int>(nibble) - kBias4);
  };
  switch (type) {
  case StorageType::q4_0:
    return halves(block + 2, out, four);
  case StorageType::q4_1:
    return halves(block + 4, out, four);
  case StorageType::q5_0:
    return halves(block + 6, out, [=](uint32_t nibble, uint32_t i) {
      return static_cast<float>(static_cast<int>(nibble | fifthBit(block + 2, i)) - kBias5);
    });
  case StorageType::iq4_nl:
    return halves(block + 2, out,
                  [](uint32_t nibble, uint32_t) { return static_cast<float>(kValues[nibble]); });
  case StorageType::q4_k: {
    constexpr uint32_t kGroup = kSuper / 8;
    const std::byte *nibbles = block + 4 + kScaleBytes;
    for (uint32_t j = 0; j < 8; j += 2, nibbles += kGroup)
      for (uint32_t i = 0; i < kGroup; ++i) {
        out[j * kGroup + i] = four(lowNibble(nibbles, i), i);
        out[(j + 1) * kGroup + i] = four(highNibble(nibbles, i), i);
      }
    return;
  }
  case StorageType::q6_k:
    return elementsOfQ6K(block, out, [](float code, uint32_t) { return code; });
  default: // q8_0
    for (uint32_t i = 0; i < kSmall; ++i)
      out[i] = static_cast<float>(static_cast<int8_t>(byteAt(block + 2, i)));
  }
}

void decodeScales(StorageType type, const std::byte *block, float *out) {
  switch (type) {
  case StorageType::q4_1:
    out[0] = halfAt(block), out[1] = halfAt(block + 2);
    return;
  case StorageType::q4_k:
    for (uint32_t j = 0; j < 8; ++j) {
      const ScaleAndMinimum group = scaleOf(block + 4, j, halfAt(block), halfAt(block + 2));
      out[2 * j] = group.scale, out[2 * j + 1] = -group.minimum;
    }
    return;
  case StorageType::q6_k:
    for (uint32_t group = 0; group < kSuper / kPerScale; ++group) out[group] = scaleOfQ6K(block, group);
    return;
  default:
    out[0] = halfAt(block);
  }
}

} // namespace linnet
