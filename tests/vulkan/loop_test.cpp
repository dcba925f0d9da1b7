// Loops of a Vulkan device: many steps in one submission.
#include "runtime/vulkan/execute/executable.h"
#include "tests/vulkan/toy_artifact.h"

#include <cstdlib>

using namespace fixtures;
using namespace linnet::vulkan;

namespace {

/// The toy program on the device, the layers on, which have to say nothing.
struct LoadedToy {
  LoadedToy() {
    setenv("LINNET_CACHE_DIR", (directory / "cache").c_str(), 1);
    write(path);
    artifact.emplace(opened(path));
    executable = loaded(*artifact);
  }
  ~LoadedToy() {
    for (const std::string &message : messages.list) FAIL_CHECK(message);
  }
  VulkanExecutable &vulkan() { return static_cast<VulkanExecutable &>(*executable); }

  TemporaryDirectory directory;
  const std::string path = directory / "a.linnet";
  Messages messages;
  std::optional<Artifact> artifact;
  std::unique_ptr<Executable> executable;
};

} // namespace

TEST_CASE("a loop carries outputs to inputs on the device, again without recording anew") {
  LoadedToy toy;
  VulkanExecutable &vulkan = toy.vulkan();
  const uint64_t before = vulkan.memory().total();
  auto loop = vulkan.makeLoop({{1}, {{{0, 0}, {0, 0}}}, {{0, 1}}, {{0, 0}}});
  INFO((loop ? "" : loop.error().message));
  REQUIRE(loop.ok());
  REQUIRE(*loop);
  CHECK(vulkan.memory().total() == before + 2 * 2048 * uint64_t((*loop)->mostSteps()));
  auto once = [&](int64_t batch, int64_t steps) {
    size_t n = static_cast<size_t>(batch) * 8;
    std::vector<float> x(n), t(n * static_cast<size_t>(steps)), expected;
    for (size_t i = 0; i < n; ++i) x[i] = static_cast<float>(i % 13) - 6;
    for (size_t i = 0; i < t.size(); ++i) t[i] = static_cast<float>(i % 31) / 4;
    std::vector<std::span<const std::byte>> in = {std::as_bytes(std::span(x)),
                                                  std::as_bytes(std::span(t).first(n))};
    std::vector<std::span<const std::byte>> tables = {std::as_bytes(std::span(t).subspan(n))};
    std::vector<int64_t> symbols = {batch};
    const LoopInputs given = {symbols, in};
    auto ran = (*loop)->run(steps, std::span(&given, 1), tables);
    INFO((ran ? "" : ran.error().message));
    REQUIRE(ran.ok());
    for (size_t i = 0; i < t.size(); ++i) expected.push_back(2 * (i < n ? x[i] : expected[i - n]) + t[i]);
    auto kept = (*loop)->history(0);
    REQUIRE(kept.ok());
    REQUIRE(kept->size() == expected.size() * 4);
    CHECK(std::memcmp(kept->data(), expected.data(), kept->size()) == 0);
    CHECK(floats(vulkan, 0) ==
          std::vector<float>(expected.end() - static_cast<ptrdiff_t>(n), expected.end()));
  };
  for (int64_t batch : {5, 64, 1}) once(batch, 6);
  const RecordingCounts steady = vulkan.counts();
  CHECK(steady == RecordingCounts{3, 3, uint64_t((*loop)->mostSteps())});
  for (int64_t batch : {64, 1, 5})
    for (int64_t steps : {int64_t(1), int64_t(2), (*loop)->mostSteps()}) once(batch, steps);
  CHECK(vulkan.counts() == steady);
}

TEST_CASE("a loop that cannot be is refused in a line") {
  LoadedToy toy;
  VulkanExecutable &vulkan = toy.vulkan();
  auto refused = [&](const LoopSpec &spec) {
    auto made = vulkan.makeLoop(spec);
    REQUIRE(!made.ok());
    return made.error().message;
  };
  const std::string &path = toy.path;
  CHECK(refused({{}, {}, {}, {}}) == path + ": a loop without an entry");
  CHECK(refused({{2}, {}, {}, {}}) == path + ": a loop's entry: number 2 of 2");
  CHECK(refused({{1, 1}, {}, {}, {}}) == path + ": a loop's entry: number 1 twice");
  CHECK(refused({{1}, {{{0, 1}, {0, 0}}}, {}, {}}) == path + ": a loop's output: number 1 of 1");
  CHECK(refused({{1}, {{{1, 0}, {0, 0}}}, {}, {}}) == path + ": a loop's stage: number 1 of 1");
  CHECK(refused({{1}, {}, {{0, 2}}, {}}) == path + ": a loop's input: number 2 of 2");
  CHECK(refused({{1}, {}, {}, {{0, -1}}}) == path + ": a loop's output: number -1 of 1");
  auto loop = std::move(*vulkan.makeLoop({{0}, {{{0, 1}, {0, 0}}}, {}, {{0, 0}}}));
  std::vector<float> x(8);
  std::vector<std::span<const std::byte>> in = {std::as_bytes(std::span(x))};
  std::vector<int64_t> one = {1};
  using Tables = std::span<const std::span<const std::byte>>;
  auto fails = [&](Loop &loop, int64_t steps, std::vector<LoopInputs> given, Tables tables = {}) {
    auto ran = loop.run(steps, given, tables);
    REQUIRE(!ran.ok());
    return ran.error().message;
  };
  CHECK(loop->history(0).error().message == "no history: the loop has not been run");
  CHECK(fails(*loop, 2, {}) == "a loop of 1 entries: found inputs of 0");
  CHECK(fails(*loop, 0, {{one, in}}) == "entry 'main': expected from 1 to 64 steps, found 0");
  CHECK(fails(*loop, 65, {{one, in}}) == "entry 'main': expected from 1 to 64 steps, found 65");
  CHECK(fails(*loop, 2, {{one, in}}) ==
        "entry 'main': output 'all' cannot become input 'x': 4000 bytes of f32, 32 of f32");
  auto tables = std::move(*vulkan.makeLoop({{1}, {}, {{0, 1}}, {}}));
  std::vector<std::span<const std::byte>> two = {in[0], in[0]};
  CHECK(fails(*tables, 3, {{one, two}}) == "entry 'next': expected 1 tables, found 0");
  CHECK(fails(*tables, 3, {{one, two}}, Tables(two).first(1)) ==
        "entry 'next': input 't' of the steps after the first: expected 64 bytes, found 32");
  // A value that one entry passes to another is not an input of the caller.
  auto joined = std::move(*vulkan.makeLoop({{0, 1}, {{{0, 0}, {1, 0}}}, {}, {}}));
  CHECK(fails(*joined, 1, {{one, in}, {one, two}}) == "entry 'next': input 'x': expected 0 bytes, found 32");
}

TEST_CASE("a loop of two entries: the one's output is the other's input, and back") {
  LoadedToy toy;
  VulkanExecutable &vulkan = toy.vulkan();
  const int64_t batch = 5, steps = 6;
  const size_t n = batch * 8;
  std::vector<int64_t> symbols = {batch};
  std::vector<float> x(n), t(n * steps), ys, zs;
  for (size_t i = 0; i < n; ++i) x[i] = static_cast<float>(i % 13) - 6;
  for (size_t i = 0; i < t.size(); ++i) t[i] = static_cast<float>(i % 31) / 4;
  std::vector<std::span<const std::byte>> of_main = {std::as_bytes(std::span(x))};
  std::vector<std::span<const std::byte>> of_next = {of_main[0], std::as_bytes(std::span(t).first(n))};
  REQUIRE(vulkan.run(1, symbols, of_next, {}).ok()); // recorded at its first place
  auto loop = vulkan.makeLoop({{0, 1}, {{{0, 0}, {1, 0}}, {{1, 0}, {0, 0}}}, {{1, 1}}, {{0, 0}, {1, 0}}});
  INFO((loop ? "" : loop.error().message));
  REQUIRE(loop.ok());
  REQUIRE(*loop);
  for (size_t i = 0; i < t.size(); ++i) {
    ys.push_back(4 * (i < n ? x[i] : zs[i - n]) + 3 * static_cast<float>(i % n) / 4);
    zs.push_back(2 * ys[i] + t[i]);
  }
  of_next[0] = {};
  const std::vector<LoopInputs> given = {{symbols, of_main}, {symbols, of_next}};
  const std::vector<std::span<const std::byte>> tables = {std::as_bytes(std::span(t).subspan(n))};
  RecordingCounts steady;
  for (int time = 0; time < 3; ++time) {
    auto ran = (*loop)->run(steps, given, tables);
    INFO((ran ? "" : ran.error().message));
    REQUIRE(ran.ok());
    for (int i : {0, 1}) {
      auto kept = (*loop)->history(i);
      REQUIRE(kept.ok());
      const std::vector<float> &expected = i ? zs : ys;
      REQUIRE(kept->size() == expected.size() * 4);
      CHECK(std::memcmp(kept->data(), expected.data(), kept->size()) == 0);
    }
    CHECK(floats(vulkan, 0) == std::vector<float>(zs.end() - static_cast<ptrdiff_t>(n), zs.end()));
    if (time == 0) steady = vulkan.counts();
  }
  CHECK(vulkan.counts() == steady);
  CHECK(steady.copies == uint64_t((*loop)->mostSteps()) + 1);
  // Each alone, still.
  of_next[0] = std::as_bytes(std::span(ys).first(n));
  REQUIRE(vulkan.run(1, symbols, of_next, {}).ok());
  CHECK(floats(vulkan, 0) == std::vector<float>(zs.begin(), zs.begin() + static_cast<ptrdiff_t>(n)));
}
