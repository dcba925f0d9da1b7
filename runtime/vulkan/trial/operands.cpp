#include "runtime/vulkan/trial/operands.h"

#include <algorithm>
#include <cstring>
#include <span>

namespace linnet::vulkan {
namespace {

// The least number of bytes of an operand that are filled and compared.
constexpr uint64_t kMinBytes = uint64_t(256) << 10;

uint32_t next(uint32_t &state) { // xorshift32
  state ^= state << 13, state ^= state >> 17, state ^= state << 5;
  return state;
}

// A float of the given layout, of either sign and a magnitude between 2^-7 and 1, like activations.
uint32_t smallFloat(uint32_t random, int bits, int exponent_bits) {
  const int mantissa_bits = bits - 1 - exponent_bits;
  const uint32_t bias = (1u << (exponent_bits - 1)) - 1;
  const uint32_t exponent = bias - 1 - (random >> 25) % 7, mantissa = random & ((1u << mantissa_bits) - 1);
  return (random >> 24 & 1) << (bits - 1) | exponent << mantissa_bits | mantissa;
}

// Token ids, lengths and positions are small and positive. They are below the size that they index, or
// kernels clamp them.
constexpr uint32_t kLargestInteger = 97;

template <class T, class Make> void repeat(std::span<std::byte> bytes, uint32_t seed, const Make &make) {
  // A run of prime length is repeated, because generating random numbers for all words would take longer than
  // the kernels.
  constexpr size_t kRun = 4093;
  std::vector<T> run(std::min(kRun, bytes.size() / sizeof(T) + 1));
  for (T &value : run) value = static_cast<T>(make(next(seed)));
  for (size_t at = 0; at < bytes.size(); at += run.size() * sizeof(T))
    std::memcpy(bytes.data() + at, run.data(), std::min(run.size() * sizeof(T), bytes.size() - at));
}

void fillWith(std::span<std::byte> bytes, fb::DType type, uint32_t seed, bool positive) {
  const uint32_t sign = positive ? 0 : 1;
  auto number = [&](uint32_t r, int bits, int exponent_bits) {
    const uint32_t made = smallFloat(r, bits, exponent_bits);
    return made & (sign << (bits - 1) | ((1u << (bits - 1)) - 1));
  };
  switch (type) {
  case fb::DType::f32:
    return repeat<uint32_t>(bytes, seed, [&](uint32_t r) { return number(r, 32, 8); });
  case fb::DType::f16:
    return repeat<uint16_t>(bytes, seed, [&](uint32_t r) { return number(r, 16, 5); });
  case fb::DType::bf16:
    return repeat<uint16_t>(bytes, seed, [&](uint32_t r) { return number(r, 16, 8); });
  case fb::DType::i32:
    return repeat<uint32_t>(bytes, seed, [](uint32_t r) { return 1 + r % kLargestInteger; });
  case fb::DType::i8:
  case fb::DType::i4:
    return repeat<uint8_t>(bytes, seed, [](uint32_t r) { return r >> 8; });
  }
}

} // namespace

uint64_t Problem::extentOf(uint32_t arg) const {
  const fb::Ref &ref = *dispatch.args()->Get(arg);
  const uint64_t most = std::min(ref.size(), kMostOfOperand);
  if (ref.space() == fb::Space::state) return most;
  const auto &bounds = *entry.bounds();
  double bytes = 2 * static_cast<double>(ref.size());
  for (uint32_t i = 0; i < bounds.size(); ++i)
    bytes *= static_cast<double>(symbols[i]) / static_cast<double>(bounds.Get(i));
  return std::min(most, std::max(kMinBytes, static_cast<uint64_t>(bytes)));
}

bool Problem::fill(uint32_t arg, std::vector<std::byte> &bytes) const {
  const fb::Ref &ref = *dispatch.args()->Get(arg);
  if (ref.space() == fb::Space::weight) return false;
  if (ref.space() == fb::Space::counter) {
    bytes.assign(program.counter_bytes(), std::byte(0));
    return true;
  }
  bytes.resize(extentOf(arg));
  fillWith(bytes, dispatch.types()->Get(arg), 0x9e3779b9 + arg * 0x85ebca6b, positive);
  return true;
}

} // namespace linnet::vulkan
