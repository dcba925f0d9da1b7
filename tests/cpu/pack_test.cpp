#include "backends/common/pack.h"
#include "tests/catch.h"

#include <cmath>
#include <cstring>

using namespace linnet;

namespace {

std::vector<float> ramp(int64_t count) {
  std::vector<float> values(count);
  for (int64_t i = 0; i < count; ++i) values[i] = float(i % 4093) - 1000.5f;
  return values;
}

std::vector<std::byte> pack(const PackedLayout &layout, int64_t k, int64_t n, PackedType type,
                            const std::vector<float> &plain) {
  std::vector<std::byte> packed;
  const auto read = [&](int64_t first, std::span<float> out) -> Result<void> {
    std::memcpy(out.data(), plain.data() + first, out.size_bytes());
    return {};
  };
  const auto take = [&](std::span<const std::byte> bytes) -> Result<void> {
    packed.insert(packed.end(), bytes.begin(), bytes.end());
    return {};
  };
  REQUIRE(packPanels(layout, k, n, type, read, take).ok());
  return packed;
}

} // namespace

TEST_CASE("packing and unpacking gives the matrix back") {
  for (const auto &[k, n] : {std::pair<int64_t, int64_t>{1, 1},
                             {1, 64},
                             {16, 64},
                             {17, 65},
                             {31, 127},
                             {48, 193},
                             {5, 3},
                             {1031, 2053}})
    for (const PackedLayout layout :
         {PackedLayout{16, 64, 1, false}, PackedLayout{16, 64, 1, true}, PackedLayout{32, 64, 2, false},
          PackedLayout{8, 16, 4, true}, PackedLayout{1, 1, 1, false}}) {
      INFO(layout.text() << " " << k << "x" << n);
      const std::vector<float> plain = ramp(k * n);
      const std::vector<std::byte> packed = pack(layout, k, n, PackedType::f32, plain);
      REQUIRE(int64_t(packed.size()) == layout.elements(k, n) * 4);
      CHECK(unpackPanels(layout, k, n, PackedType::f32, packed) == plain);
    }
}

TEST_CASE("elements lie where the layout says and the edge is zero") {
  const PackedLayout layout{16, 64, 1, false};
  const std::vector<std::byte> packed =
      pack(layout, 17, 65, PackedType::f32, std::vector<float>(17 * 65, 1.0f));
  std::vector<float> values(packed.size() / 4);
  std::memcpy(values.data(), packed.data(), packed.size());
  double sum = 0;
  for (float value : values) sum += value;
  CHECK(sum == 17 * 65);
  CHECK(layout.offset(16, 64, 17) == 2 * 16 * 64 + 16 * 64);
  CHECK(values[layout.offset(16, 64, 17)] == 1.0f);
  CHECK(values[layout.offset(16, 64, 17) + 1] == 0.0f);
}

TEST_CASE("narrow types round to nearest even") {
  const std::vector<float> plain = {1.0f,          1.00048828125f, 65504.0f, 65520.0f,
                                    5.9604645e-8f, 2.9802322e-8f,  -0.0f,    INFINITY};
  const std::vector<std::byte> half = pack({1, 8, 1, false}, 1, 8, PackedType::f16, plain);
  const uint16_t expected_half[] = {0x3c00, 0x3c00, 0x7bff, 0x7c00, 0x0001, 0x0000, 0x8000, 0x7c00};
  CHECK(std::memcmp(half.data(), expected_half, 16) == 0);
  const std::vector<float> values = {1.0f,  1.00390625f, 1.01171875f, 3.3895314e38f,
                                     -2.0f, 0.0f,        -INFINITY,   1e-40f};
  const std::vector<std::byte> brain = pack({1, 8, 1, false}, 1, 8, PackedType::bf16, values);
  const uint16_t expected_brain[] = {0x3f80, 0x3f80, 0x3f82, 0x7f7f, 0xc000, 0x0000, 0xff80, 0x0001};
  CHECK(std::memcmp(brain.data(), expected_brain, 16) == 0);
  const std::vector<float> back = unpackPanels({1, 8, 1, false}, 1, 8, PackedType::bf16, brain);
  CHECK(back[2] == 1.015625f);
}

TEST_CASE("a reader's failure is packing's failure") {
  const auto read = [](int64_t, std::span<float>) -> Result<void> { return Error{"wte: cannot read"}; };
  const auto take = [](std::span<const std::byte>) -> Result<void> { return {}; };
  auto result = packPanels({16, 64, 1, false}, 20, 70, PackedType::f32, read, take);
  REQUIRE(!result.ok());
  CHECK(result.error().message == "wte: cannot read");
  CHECK(!packPanels({16, 64, 1, false}, 0, 70, PackedType::f32, read, take).ok());
}
