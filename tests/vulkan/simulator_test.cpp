// Shaders as backends/vulkan/simulator executes them: right numbers, what is known of them, and no
// harm done by code that no kernel generator writes. That it gives what drivers give is seen wherever a
// program is loaded on one: the conformance cases' last choices would be put aside.
#include "tests/catch.h"
#include "tests/vulkan/simulator_bench.h"

#include <cmath>

using namespace linnet;
using namespace linnet::testing;
using spirv::Builder;

namespace {

/// out[lane] = the sum of in[0] to in[lane], each lane's part gone through shared memory.
spirv::Words runningSum() {
  Builder b({.name = "main", .local_size = {8, 1, 1}, .n_buffers = 2, .n_push = 1});
  auto lane = b.localId(0), one = b.constant(1u);
  auto parts = b.shared(Builder::f32(), 8);
  b.store(parts, lane, b.load(0, lane, Builder::f32()));
  b.barrier();
  auto sum = b.variable(b.constant(0.0f));
  b.forRange(b.constant(0u), b.add(lane, one), one,
             [&](auto i) { b.set(sum, b.add(b.get(sum), b.load(parts, i))); });
  b.ifThen(b.lt(lane, b.push(0)), [&] { b.store(1, lane, b.get(sum)); });
  return b.finish();
}

} // namespace

TEST_CASE("lanes meet at barriers, leave loops one by one, and write where they may") {
  Bench bench({bits({1, 2, 3, 4, 5, 6, 7, 8}), bits(std::vector<float>(8, -1))}, {6});
  auto sure = bench.run(runningSum());
  REQUIRE(sure.ok());
  CHECK(*sure);
  for (size_t i = 0; i < 8; ++i) {
    CHECK(bench.number(1, i) == (i < 6 ? float((i + 1) * (i + 2) / 2) : -1.0f));
    CHECK(bench.marks[1][i] == (i < 6 ? kFirstStep : kFilled));
  }
}

TEST_CASE("what comes of a number that is not known is not known either") {
  Bench bench({bits({1, 2, 3, 4, 5, 6, 7, 8}), bits(std::vector<float>(8, -1))}, {8});
  bench.marks[0][5] = kUnknown;
  auto sure = bench.run(runningSum());
  REQUIRE(sure.ok());
  CHECK(!*sure);
  for (size_t i = 0; i < 8; ++i) CHECK(bench.marks[1][i] == (i < 5 ? kFirstStep : kUnknown));
  Bench behind({bits({1, 2, 3, 4}), bits(std::vector<float>(8, -1))}, {8}); // the binding ends
  REQUIRE(behind.run(runningSum()).ok());
  CHECK(behind.marks[1][3] == kFirstStep);
  CHECK(behind.marks[1][4] == kUnknown);
}

TEST_CASE("arithmetic is as SPIR-V says") {
  Builder b({.name = "main", .local_size = {1, 1, 1}, .n_buffers = 2});
  auto f = [&](uint32_t i) { return b.load(0, b.constant(i), Builder::f32()); };
  auto n = [&](uint32_t i) { return b.load(0, b.constant(i), Builder::i32()); };
  uint32_t next = 0;
  std::vector<float> expected;
  auto gives = [&](spirv::Value value, float number) {
    b.store(1, b.constant(next++), b.convert(value, Builder::f32()));
    expected.push_back(number);
  };
  const std::vector<float> in = {3.5f, -0.75f, 2.5f, 0};
  Bench bench({bits(in), Bench::Words()});
  for (int32_t value : {-7, 2, 40}) bench.words[0].push_back(static_cast<uint32_t>(value));
  gives(b.sub(f(0), f(1)), 4.25f);
  gives(b.div(f(0), f(1)), 3.5f / -0.75f);
  gives(b.roundEven(f(2)), 2);
  gives(b.floor(f(1)), -1);
  gives(b.sqrt(f(0)), std::sqrt(3.5f));
  gives(b.max(f(0), f(1)), 3.5f);
  gives(b.abs(f(1)), 0.75f);
  gives(b.neg(f(1)), 0.75f);
  gives(b.mod(n(4), n(5)), 1); // the divisor's sign
  gives(b.div(n(4), n(5)), -3);
  gives(b.div(n(4), n(3)), 0); // by zero: anything but a crash
  gives(b.shiftRight(n(4), b.constant(1u)), -4);
  gives(b.min(n(4), n(5)), -7);
  gives(b.bitExtract(n(4), b.constant(1u), b.constant(3u)), -4);
  gives(b.convert(f(1), Builder::i32()), 0);
  gives(b.select(b.lt(n(4), n(5)), f(0), f(1)), 3.5f);
  gives(b.select(b.lt(b.bitcast(n(4), Builder::u32()), b.constant(9u)), f(0), f(1)), -0.75f);
  auto pair = b.vector({f(0), f(1)});
  gives(b.extract(b.unpackHalf2(b.packHalf2(pair)), 1), -0.75f);
  gives(b.extract(b.fmaScaled(f(2), pair, pair), 0), 12.25f);
  gives(b.extract(b.load2(0, b.constant(1u), Builder::f32()), 0), 2.5f);
  bench.words[1].resize(next), bench.marks[1].resize(next);
  bench.marks[0].resize(bench.words[0].size(), kFilled);
  for (size_t i = 0; i < 2; ++i)
    bench.call.bindings[i] = {{{0, bench.words[i].size(), bench.words[i].data(), bench.marks[i].data()}}};
  auto sure = bench.run(b.finish());
  INFO((sure ? "" : sure.error().message));
  REQUIRE(sure.ok());
  for (size_t i = 0; i < expected.size(); ++i) {
    CAPTURE(i);
    CHECK(bench.number(1, i) == Approx(expected[i]));
  }
}

TEST_CASE("halves are rounded to the nearest, and all come back") {
  Builder b({.name = "main", .local_size = {1, 1, 1}, .n_buffers = 2});
  auto zero = b.constant(0u);
  b.store(1, zero, b.packHalf2(b.load(0, zero, Builder::f32(2))));
  b.store(1, b.constant(1u), b.unpackHalf2(b.load(1, zero, Builder::u32())));
  const spirv::Words code = b.finish();
  auto packed = [&](float low, float high) {
    Bench bench({bits({low, high}), Bench::Words(3)});
    REQUIRE(bench.run(code).ok());
    return bench.words[1];
  };
  CHECK(packed(1, -2)[0] == 0xc0003c00);
  CHECK(packed(65519, 65520)[0] == 0x7c007bff);
  CHECK(packed(1 + 0x1p-11f, 1 + 3 * 0x1p-11f)[0] == 0x3c023c00); // the even one
  CHECK(packed(0x1p-24f, 0x1p-25f)[0] == 0x00000001);
  CHECK((packed(NAN, -INFINITY)[0] & 0xfc007c00) == 0xfc007c00);
  for (float value : {1.0f, -0.333251953125f, 0x1p-14f, 0x3p-24f, 65504.0f})
    CHECK(std::bit_cast<float>(packed(value, 0)[1]) == value);
}

TEST_CASE("other workgroups' bits of a word stay, counters count") {
  Builder b({.name = "main", .local_size = {4, 1, 1}, .n_buffers = 2});
  auto lane = b.localId(0), zero = b.constant(0u), shift = b.mul(lane, b.constant(8u));
  b.setBits(0, zero, b.bitNot(b.shiftLeft(b.constant(15u), shift)), b.shiftLeft(b.constant(5u), shift));
  b.store(1, b.add(lane, b.constant(1u)), b.atomicAdd(1, zero, b.constant(2u)));
  Bench bench({Bench::Words{0xffffffff}, Bench::Words{10, 0, 0, 0, 0}});
  REQUIRE(bench.run(b.finish()).ok());
  CHECK(bench.words[0][0] == 0xf5f5f5f5);
  CHECK(bench.words[1] == std::vector<uint32_t>{18, 10, 12, 14, 16});
}

TEST_CASE("work without an end is an error") {
  Builder b({.name = "main", .local_size = {4, 1, 1}, .n_buffers = 1});
  b.forRange(b.constant(0u), b.constant(~0u), b.constant(1u), [&](auto i) { b.store(0, b.constant(0u), i); });
  Bench bench({Bench::Words(1)});
  auto done = bench.run(b.finish());
  REQUIRE(!done.ok());
  CHECK(done.error().message == "too much work for the simulator");
}

TEST_CASE("what the simulator does not understand is an error") {
  Builder b({.name = "main", .local_size = {4, 1, 1}, .n_buffers = 1});
  b.store(0, b.constant(0u), b.subgroupReduce(spirv::SubgroupOp::add, b.constant(1.0f)));
  Bench bench({Bench::Words(1)});
  CHECK(!bench.run(b.finish()).ok());
  CHECK(!bench.run({}).ok());
  CHECK(!bench.run({1, 2, 3, 0xffffffff, 5}).ok());
}

TEST_CASE("damaged code does no harm") {
  const spirv::Words code = runningSum();
  std::mt19937 random(7);
  size_t ran = 0;
  for (int round = 0; round < 20000; ++round) {
    Bench bench({bits({1, 2, 3, 4, 5, 6, 7, 8}), bits(std::vector<float>(8, -1))}, {6});
    ran += bench.run(damaged(code, random, round), 1 << 14).ok();
  }
  CHECK(ran > 1000); // harmless changes
}
