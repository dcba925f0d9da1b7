#include "support/half.h"
#include "tests/checkpoint/common.h"

#include <bit>
#include <cmath>
#include <limits>
#include <random>

using namespace linnet;

TEST_CASE("every half converts to f32 and back", "[tensor]") {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    float value = fromHalf(static_cast<uint16_t>(bits));
    if (std::isnan(value)) {
      REQUIRE(std::isnan(fromHalf(toHalf(value))));
      continue;
    }
    REQUIRE(toHalf(value) == bits);
    // Rounding is to nearest even: halfway to the next half goes to the even one, a little more goes up.
    if ((bits & 0x7fff) < 0x7bff) {
      float next = fromHalf(static_cast<uint16_t>(bits + 1)), middle = (value + next) / 2;
      REQUIRE(toHalf(middle) == (bits & 1 ? bits + 1 : bits));
      REQUIRE(toHalf(std::nextafter(middle, next)) == bits + 1);
      REQUIRE(toHalf(std::nextafter(middle, value)) == bits);
    }
  }
  CHECK(toHalf(65519.9f) == 0x7bff);
  CHECK(toHalf(65520.0f) == 0x7c00);
  CHECK(toHalf(-std::numeric_limits<float>::infinity()) == 0xfc00);
}

TEST_CASE("every bfloat16 converts to f32 and back", "[tensor]") {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    float value = fromBfloat(static_cast<uint16_t>(bits));
    if (std::isnan(value))
      REQUIRE(std::isnan(fromBfloat(toBfloat(value))));
    else
      REQUIRE(toBfloat(value) == bits);
  }
  CHECK(toBfloat(std::bit_cast<float>(0x3f808000u)) == 0x3f80); // halfway: to even
  CHECK(toBfloat(std::bit_cast<float>(0x3f818000u)) == 0x3f82);
  CHECK(toBfloat(std::bit_cast<float>(0x3f808001u)) == 0x3f81);
}

TEST_CASE("block quantization stays within half a step", "[tensor]") {
  std::mt19937 random(3);
  std::normal_distribution<float> normal(0, 0.05f);
  std::vector<float> values(96);
  for (float &value : values) value = normal(random);
  for (auto [type, steps] : {std::pair(StorageType::q8_0, 127.0f), std::pair(StorageType::q4_0, 8.0f)}) {
    std::vector<std::byte> bytes;
    encode(type, values, bytes);
    TensorView view{"x", type, {3, 32}, false, bytes, {}};
    std::vector<float> back(96);
    REQUIRE(readF32(view, 0, back));
    for (int block = 0; block < 3; ++block) {
      float largest = 0;
      for (int i = 0; i < 32; ++i) largest = std::max(largest, std::fabs(values[block * 32 + i]));
      // A 4-bit code is clamped at +7, so the far end may lose a whole step.
      float allowed = largest / steps * (type == StorageType::q4_0 ? 1.01f : 0.51f) + largest * 1e-3f;
      for (int i = 0; i < 32; ++i) CHECK(std::fabs(values[block * 32 + i] - back[block * 32 + i]) <= allowed);
    }
    std::vector<float> part(40);
    REQUIRE(readF32(view, 30, part));
    CHECK(std::equal(part.begin(), part.end(), back.begin() + 30));
  }
}

TEST_CASE("a transposed view reads any range as the logical matrix", "[tensor]") {
  constexpr int64_t kRows = 37, kColumns = 11;
  std::vector<float> stored(kRows * kColumns);
  for (size_t i = 0; i < stored.size(); ++i) stored[i] = static_cast<float>(i);
  TensorView view{"x", StorageType::f32, {kRows, kColumns}, true, std::as_bytes(std::span(stored)), {}};
  auto logical = [&](int64_t i) { return stored[static_cast<size_t>(i % kColumns * kRows + i / kColumns)]; };
  std::mt19937 random(5);
  for (int trial = 0; trial < 200; ++trial) {
    auto first = static_cast<int64_t>(random() % stored.size());
    std::vector<float> out(random() % (stored.size() - static_cast<size_t>(first)) + 1);
    REQUIRE(readF32(view, static_cast<uint64_t>(first), out));
    for (size_t i = 0; i < out.size(); ++i) REQUIRE(out[i] == logical(first + static_cast<int64_t>(i)));
  }
  std::vector<float> beyond(2);
  CHECK_FALSE(readF32(view, stored.size() - 1, beyond));
}
