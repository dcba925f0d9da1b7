// Checks the simulator on kernels that need features that some devices lack, and its findings about kernels
// whose lanes it executes in step although a GPU does not.
#include "tests/catch.h"
#include "tests/vulkan/simulator_bench.h"

#include <algorithm>
#include <cmath>
#include <numeric>

using namespace linnet;
using namespace linnet::testing;
using spirv::Builder;
using spirv::MatrixUse;
using spirv::SubgroupOp;
using spirv::Value;

namespace {

constexpr uint32_t kLanes = 128;

spirv::Words shader(const std::function<void(Builder &b)> &body, uint32_t lanes = kLanes) {
  Builder b({.name = "main", .local_size = {lanes, 1, 1}, .n_buffers = 2});
  body(b);
  return b.finish();
}

/// The watch's message about the code on a device with subgroups of 16.
std::string found(const spirv::Words &code, Watch::Unit unit = Watch::Unit::subgroup) {
  Bench bench({std::vector<uint32_t>(256), std::vector<uint32_t>(256)});
  std::vector<WordLog> logs[2] = {std::vector<WordLog>(256), std::vector<WordLog>(256)};
  for (size_t i = 0; i < 2; ++i) bench.call.bindings[i].segments[0].log = logs[i].data();
  Watch watch(unit);
  bench.call.watch = &watch, bench.call.subgroup = 16, bench.call.groups = {2, 1, 1};
  auto parsed = SpirvCode::parse(std::as_bytes(std::span(code)));
  if (!parsed) return parsed.error().message;
  watch.beginDispatch();
  Workgroup workgroup(*parsed, bench.call);
  for (uint32_t group = 0; group < 2; ++group) {
    uint64_t work = kEnough;
    if (auto ran = workgroup.run({group, 0, 0}, work); !ran) return ran.error().message;
  }
  return "";
}

bool says(const std::string &message, const std::string &part) {
  INFO(message);
  CHECK(message.find(part) != std::string::npos);
  return message.find(part) != std::string::npos;
}

/// 8 x 4 times 4 x 16 added to 3; rows in shared memory have strides of 5, 20 and 17.
spirv::Words product() {
  Builder b({.name = "main", .local_size = {16, 1, 1}, .n_buffers = 3});
  b.enableMatrices();
  const spirv::Type half{spirv::Kind::f16, 1};
  auto a = b.shared(half, 40, "a"), w = b.shared(half, 80, "w");
  auto out = b.shared(Builder::f32(), 2 + 8 * 17, "out");
  auto lane = b.localId(0), step = b.constant(16u), zero = b.constant(0u);
  auto fill = [&](spirv::Shared to, uint32_t buffer, uint32_t count) {
    b.forRange(lane, b.constant(count), step,
               [&](Value i) { b.store(to, i, b.convert(b.load(buffer, i, Builder::f32()), half)); });
  };
  fill(a, 0, 40), fill(w, 1, 80);
  b.barrier();
  auto sum = b.zeroMatrix({spirv::Kind::f32, 8, 16, MatrixUse::sum});
  auto rows = b.loadMatrix(a, zero, 5, {spirv::Kind::f16, 8, 4, MatrixUse::a});
  auto columns = b.loadMatrix(w, zero, 20, {spirv::Kind::f16, 4, 16, MatrixUse::b});
  b.set(sum, b.multiplyAdd(rows, columns, b.get(sum)));
  b.set(sum, b.multiplyAdd(rows, columns, b.get(sum)));
  b.storeMatrix(out, b.constant(2u), 17, b.get(sum));
  b.barrier();
  b.forRange(lane, b.constant(128u), step, [&](Value i) {
    Value at = b.add(b.mul(b.div(i, step), b.constant(17u)), b.mod(i, step));
    b.store(2, i, b.load(out, b.add(at, b.constant(2u))));
  });
  return b.finish();
}

Bench productBench() {
  std::vector<float> a(40), w(80);
  for (size_t i = 0; i < a.size(); ++i) a[i] = float(int(i * 7 % 11) - 5);
  for (size_t i = 0; i < w.size(); ++i) w[i] = float(int(i * 5 % 13) - 6) / 4;
  Bench bench({bits(a), bits(w), std::vector<uint32_t>(128)});
  bench.call.subgroup = 16;
  return bench;
}

} // namespace

TEST_CASE("lanes of a subgroup, whatever its size") {
  const uint32_t size = GENERATE(1u, 4u, 8u, 16u, 32u, 64u, 128u);
  CAPTURE(size);
  auto of = [&](const std::function<Value(Builder & b, Value number)> &make) {
    const spirv::Words code = shader(
        [&](Builder &b) { b.store(1, b.localId(0), make(b, b.load(0, b.localId(0), Builder::u32()))); });
    std::vector<uint32_t> numbers;
    for (uint32_t l = 0; l < kLanes; ++l) numbers.push_back(l * 37 % 101);
    Bench bench({numbers, std::vector<uint32_t>(kLanes)});
    bench.call.subgroup = size;
    auto ran = bench.run(code);
    INFO((ran ? "" : ran.error().message));
    REQUIRE(ran.ok());
    return std::pair(numbers, bench.words[1]);
  };
  for (const auto which : {SubgroupOp::add, SubgroupOp::max, SubgroupOp::min}) {
    const auto [numbers, results] = of([&](Builder &b, Value n) { return b.subgroupReduce(which, n); });
    for (uint32_t l = 0; l < kLanes; ++l) {
      const auto first = numbers.begin() + l / size * size;
      const uint32_t sum = std::accumulate(first, first + size, 0u);
      CHECK(results[l] == (which == SubgroupOp::add   ? sum
                           : which == SubgroupOp::max ? *std::max_element(first, first + size)
                                                      : *std::min_element(first, first + size)));
    }
  }
  const auto [numbers, first] = of([&](Builder &b, Value n) { return b.subgroupBroadcastFirst(n); });
  const auto last = of([&](Builder &b, Value n) { return b.subgroupBroadcast(n, size - 1); }).second;
  const auto other =
      of([&](Builder &b, Value n) { return b.subgroupShuffleXor(n, b.constant(size / 2)); }).second;
  const auto place = of([&](Builder &b, Value) {
                       Value of_all = b.add(b.mul(b.subgroupId(), b.subgroupSize()), b.subgroupLane());
                       return b.add(b.mul(b.subgroupSize(), b.constant(1000u)), of_all);
                     }).second;
  for (uint32_t l = 0; l < kLanes; ++l) {
    CHECK(first[l] == numbers[l / size * size]);
    CHECK(last[l] == numbers[l / size * size + size - 1]);
    CHECK(other[l] == numbers[l ^ size / 2]);
    CHECK(place[l] == size * 1000 + l);
  }
}

TEST_CASE("each operation in 16 bits is rounded to them") {
  const spirv::Type half{spirv::Kind::f16, 1};
  Builder b({.name = "main", .local_size = {1, 1, 1}, .n_buffers = 2});
  auto in = [&](uint32_t i) { return b.convert(b.load(0, b.constant(i), Builder::f32()), half); };
  uint32_t next = 0;
  auto gives = [&](Value value) { b.store(1, b.constant(next++), b.convert(value, Builder::f32())); };
  gives(in(0));
  gives(b.mul(in(1), in(1)));
  gives(b.fma(in(1), in(1), b.neg(in(2)))); // the product is rounded before
  gives(b.add(in(3), in(2)));
  gives(b.extract(b.fmaScaled(in(1), b.vector({in(1), in(2)}), b.vector({in(2), in(2)})), 0));
  gives(b.mul(in(4), in(4)));
  Bench bench({bits({0.1f, 1 + 0x1p-10f, 1, 2048, 300}), std::vector<uint32_t>(6)});
  bench.call.subgroup = 1;
  REQUIRE(bench.run(b.finish()).ok());
  const float expected[] = {0.0999755859375f, 1 + 0x1p-9f, 0x1p-9f, 2048, 2 + 0x1p-9f, INFINITY};
  for (size_t i = 0; i < 6; ++i) CHECK(bench.number(1, i) == expected[i]);
}

TEST_CASE("a subgroup multiplies matrices") {
  Bench bench = productBench();
  auto ran = bench.run(product());
  INFO((ran ? "" : ran.error().message));
  REQUIRE(ran.ok());
  for (size_t row = 0; row < 8; ++row)
    for (size_t column = 0; column < 16; ++column) {
      float sum = 0;
      for (size_t k = 0; k < 4; ++k)
        sum += 2 * bench.number(0, row * 5 + k) * bench.number(1, k * 20 + column);
      CHECK(bench.number(2, row * 16 + column) == sum);
    }
}

TEST_CASE("nothing is executed for a device without a known size of subgroups") {
  Bench bench = productBench();
  bench.call.subgroup = 0;
  CHECK(!bench.run(product()).ok());
}

TEST_CASE("what one subgroup writes and another reads has a barrier between") {
  auto neighbours = [](bool barrier, uint32_t apart) {
    return shader([&](Builder &b) {
      auto parts = b.shared(Builder::u32(), kLanes, "parts");
      b.store(parts, b.localId(0), b.localId(0));
      if (barrier) b.barrier();
      Value x = b.load(parts, b.bitXor(b.localId(0), b.constant(apart)));
      b.store(1, b.add(b.localId(0), b.mul(b.groupId(0), b.constant(kLanes))), x);
    });
  };
  CHECK(found(neighbours(true, 16)) == "");
  CHECK(found(neighbours(true, 1), Watch::Unit::lane) == "");
  CHECK(found(neighbours(false, 1)) == ""); // in step
  CHECK(says(found(neighbours(false, 1), Watch::Unit::lane), "shared memory 'parts'"));
  CHECK(says(found(neighbours(false, 16)),
             "reads word 16 of shared memory 'parts', which another part of the workgroup has written"));
}

TEST_CASE("what is read is not written over before a barrier") {
  auto twice = [](bool barrier) {
    return shader([&](Builder &b) {
      auto parts = b.shared(Builder::u32(), kLanes);
      b.forRange(b.constant(0u), b.constant(2u), b.constant(1u), [&](Value i) {
        if (barrier) b.barrier();
        b.store(parts, b.localId(0), i);
        b.barrier();
        b.load(parts, b.bitXor(b.localId(0), b.constant(64u)));
      });
    });
  };
  CHECK(found(twice(true)) == "");
  CHECK(says(found(twice(false)), "which another part of the workgroup has read"));
}

TEST_CASE("buffers need more than a barrier of shared memory") {
  auto through = [](bool fences) {
    return shader([&](Builder &b) {
      Value base = b.mul(b.groupId(0), b.constant(kLanes));
      b.store(1, b.add(base, b.localId(0)), b.localId(0));
      if (fences) b.memoryBarrier();
      b.barrier();
      if (fences) b.memoryBarrier();
      b.store(0, b.add(base, b.localId(0)),
              b.load(1, b.add(base, b.bitXor(b.localId(0), b.constant(64u))), Builder::u32()));
    });
  };
  CHECK(found(through(true)) == "");
  CHECK(says(found(through(false)), "of binding 1, which another part of the workgroup has written"));
}

TEST_CASE("workgroups do not share what one of them writes, but for atomics") {
  auto same = [](bool atomic) {
    return shader([&](Builder &b) {
      b.ifThen(b.eq(b.localId(0), b.constant(0u)), [&] {
        if (atomic)
          b.atomicAdd(1, b.constant(3u), b.constant(1u));
        else
          b.store(1, b.constant(3u), b.groupId(0));
      });
    });
  };
  CHECK(found(same(true)) == "");
  CHECK(says(found(same(false)), "word 3 of binding 1, which another workgroup of the dispatch has written"));
}

TEST_CASE("a workgroup is counted when its part is there, and the last one sees all parts") {
  // Which of four steps is left out: fence, barrier, barrier, fence.
  auto without = [](int step) {
    return shader([&](Builder &b) {
      const uint32_t parts = b.coherent(1), counters = b.coherent(0);
      auto seen = b.shared(Builder::u32(), 1);
      Value lane = b.localId(0), zero = b.constant(0u);
      b.ifThen(b.lt(lane, b.constant(64u)),
               [&] { b.store(parts, b.add(b.mul(b.groupId(0), b.constant(64u)), lane), lane); });
      if (step != 0) b.memoryBarrier();
      if (step != 1) b.barrier();
      b.ifThen(b.eq(lane, zero), [&] { b.store(seen, zero, b.atomicAdd(counters, zero, b.constant(1u))); });
      if (step != 2) b.barrier();
      b.ifThen(b.eq(b.load(seen, zero), b.constant(1u)), [&] {
        if (step != 3) b.memoryBarrier();
        b.store(parts, b.add(lane, b.constant(128u)), b.load(parts, lane, Builder::u32()));
      });
    });
  };
  for (const auto unit : {Watch::Unit::subgroup, Watch::Unit::lane}) {
    CHECK(found(without(-1), unit) == "");
    for (int step : {0, 1}) CHECK(says(found(without(step), unit), "part is there, before it is"));
    CHECK(says(found(without(2), unit), "of shared memory, which another part of the workgroup has written"));
    CHECK(says(found(without(3), unit), "no fence behind the count"));
  }
}

TEST_CASE("all lanes reach a barrier, and what they do together") {
  auto some = [](const std::function<void(Builder & b)> &what) {
    return found(
        shader([&](Builder &b) { b.ifThen(b.lt(b.localId(0), b.constant(24u)), [&] { what(b); }); }));
  };
  CHECK(says(some([](Builder &b) { b.barrier(); }), "24 of 128 invocations reach a barrier"));
  CHECK(says(some([](Builder &b) { b.subgroupReduce(SubgroupOp::add, b.localId(0)); }),
             "a reduction by 8 of a subgroup's 16 invocations"));
  CHECK(says(found(shader([](Builder &b) { b.subgroupShuffleXor(b.localId(0), b.constant(16u)); })),
             "an invocation that is not there"));
}

TEST_CASE("no kernel reads what nobody has written, or where there is nothing") {
  CHECK(says(found(shader([](Builder &b) { b.load(0, b.constant(256u), Builder::u32()); })),
             "reaches word 256 of binding 0, where it has nothing"));
  CHECK(says(found(shader([](Builder &b) {
               auto two = b.shared(Builder::u32(), 2, "two");
               b.store(two, b.localId(0), b.localId(0));
             })),
             "of shared memory 'two', where it has nothing"));
  Bench bench({std::vector<uint32_t>(1), std::vector<uint32_t>(1)});
  Watch watch;
  bench.call.watch = &watch, bench.call.subgroup = 1;
  const spirv::Words reads = shader(
      [](Builder &b) { b.store(1, b.constant(0u), b.load(b.shared(Builder::f32(), 1), b.constant(0u))); }, 1);
  REQUIRE(bench.run(reads).ok());
  CHECK(std::isnan(bench.number(1, 0)));
}

TEST_CASE("damaged code of subgroups and matrices does no harm") {
  const spirv::Words codes[] = {product(),
                                shader(
                                    [](Builder &b) {
                                      Value x = b.convert(b.localId(0), Builder::f32());
                                      x = b.subgroupReduce(SubgroupOp::max, x);
                                      x = b.subgroupShuffleXor(x, b.constant(3u));
                                      x = b.convert(b.convert(x, {spirv::Kind::f16, 1}), Builder::f32());
                                      b.store(1, b.subgroupLane(), b.subgroupBroadcast(x, 2));
                                    },
                                    24)};
  std::mt19937 random(11);
  for (const spirv::Words &code : codes) {
    size_t ran = 0;
    for (int round = 0; round < 10000; ++round) {
      Bench bench = productBench();
      Watch watch;
      if (round % 2) bench.call.watch = &watch;
      ran += bench.run(damaged(code, random, round), 1 << 14).ok();
    }
    CHECK(ran > 300); // harmless changes
  }
}
