// The cpu device over artifacts with hand-made kernels: order, barriers, threads, memory, matmuls by either
// way.
#include "runtime/cpu/code.h"
#include "runtime/cpu/onednn.h"
#include "runtime/memory.h"
#include "support/error.h"
#include "support/processor.h"
#include "tests/catch.h"
#include "tests/runtime/cpu_artifact.h"

#include <cmath>
#include <cstdlib>
#include <random>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace fixtures;

namespace {

template <class T> std::string message(const Result<T> &result) {
  return result ? "" : result.error().message;
}
bool contains(const std::string &text, const std::string &part) {
  return text.find(part) != std::string::npos;
}

std::vector<float> randomValues(size_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> values(n);
  for (float &x : values) x = uniform(random);
  return values;
}

std::vector<float> runMain(Graph &graph, const std::vector<float> &x, int64_t rows, int64_t columns) {
  std::vector<NamedTensor> inputs = {{"x", Tensor::fromFloats({rows, columns}, x)}};
  auto result = graph.run("main", inputs);
  INFO(message(result));
  REQUIRE(result.ok());
  auto floats = result->at(0).tensor.floats();
  return {floats.begin(), floats.end()};
}

} // namespace

TEST_CASE("commands run in order on any number of threads") {
  TemporaryDirectory directory;
  ChainArtifact chain;
  writeChain(directory / "chain.linnet", chain);
  for (int threads : {1, 2, 3, 8, 33}) {
    auto graph = Graph::load(directory / "chain.linnet", {.threads = threads});
    INFO(message(graph));
    REQUIRE(graph.ok());
    for (int64_t rows : {1, 2, 7, 64}) {
      auto x = randomValues(static_cast<size_t>(rows * 8), 5);
      CHECK(runMain(*graph, x, rows, 8) == chainReference(chain, x));
    }
  }
}

TEST_CASE("what only an unwanted output needs is not computed") {
  TemporaryDirectory directory;
  ChainArtifact chain;
  chain.last_only_for_y = true;
  writeChain(directory / "chain.linnet", chain);
  auto artifact = Artifact::open(directory / "chain.linnet");
  REQUIRE(artifact.ok());
  const fb::Program &program = *artifact->program("cpu");
  auto device = openDevice("cpu");
  REQUIRE(device.ok());
  auto executable = (*device)->load(*artifact, program, {.threads = 2});
  REQUIRE(executable.ok());
  auto run = [&](const std::vector<float> &x, const std::vector<bool> &wanted) {
    const int64_t symbols[] = {2};
    const std::span<const std::byte> inputs[] = {std::as_bytes(std::span(x))};
    REQUIRE((*executable)->run(0, symbols, inputs, wanted).ok());
    auto bytes = (*executable)->output(0);
    REQUIRE(bytes.ok());
    const auto *floats = reinterpret_cast<const float *>(bytes->data());
    return std::vector<float>(floats, floats + 16);
  };
  auto first = randomValues(16, 5), second = randomValues(16, 6);
  CHECK(run(first, {true}) == chainReference(chain, first));
  CHECK(run(second, {false}) == chainReference(chain, first)); // y is what it was
  CHECK(run(second, {}) == chainReference(chain, second));
}

TEST_CASE("a matmul's rows decide between kernel and library, the result does not") {
  TemporaryDirectory directory;
  for (int activation = 0; activation < 4; ++activation)
    for (auto residual : {MatmulArtifact::None, MatmulArtifact::Elsewhere, MatmulArtifact::InPlace})
      for (bool bias : {false, true}) {
        MatmulArtifact matmul;
        matmul.activation = activation;
        matmul.residual = residual;
        matmul.bias = bias;
        writeMatmul(directory / "matmul.linnet", matmul);
        auto graph = Graph::load(directory / "matmul.linnet", {.threads = 2});
        INFO(message(graph));
        REQUIRE(graph.ok());
        for (int64_t rows : {1, 4, 5, 32}) { // the crossover is 4
          auto x = randomValues(static_cast<size_t>(rows * 40), 9);
          auto found = runMain(*graph, x, rows, 40), expected = matmulReference(matmul, x);
          REQUIRE(found.size() == expected.size());
          double worst = 0; // relative: the residual grows to thousands
          for (size_t i = 0; i < found.size(); ++i)
            worst = std::max(worst, std::abs(static_cast<double>(found[i] - expected[i])) /
                                        std::max(1.0, std::abs(static_cast<double>(expected[i]))));
          CAPTURE(activation, static_cast<int>(residual), bias, rows);
          CHECK(worst < 1e-5);
        }
      }
}

TEST_CASE("the same run gives the same bytes, kernels also with other threads") {
  TemporaryDirectory directory;
  MatmulArtifact matmul;
  matmul.activation = 3;
  writeMatmul(directory / "matmul.linnet", matmul);
  auto x = randomValues(32 * 40, 2), few = randomValues(4 * 40, 2);
  auto open = [&](int threads) {
    return std::move(*Graph::load(directory / "matmul.linnet", {.threads = threads}));
  };
  auto first = open(2), second = open(2), third = open(5);
  CHECK(runMain(first, x, 32, 40) == runMain(second, x, 32, 40));
  CHECK(runMain(first, few, 4, 40) == runMain(third, few, 4, 40));
}

TEST_CASE("states outlive a run, belong to one graph, and can be reset") {
  TemporaryDirectory directory;
  writeCounter(directory / "counter.linnet");
  auto graph = Graph::load(directory / "counter.linnet"), other = Graph::load(directory / "counter.linnet");
  REQUIRE(graph.ok());
  auto count = [](Graph &g) { return g.run("main", {})->at(0).tensor.floats()[0]; };
  CHECK(count(*graph) == 1);
  CHECK(count(*graph) == 2);
  CHECK(count(*other) == 1);
  graph->resetStates();
  CHECK(count(*graph) == 1);
}

TEST_CASE("graphs tell their ports and refuse wrong inputs") {
  TemporaryDirectory directory;
  writeChain(directory / "chain.linnet", {});
  auto graph = Graph::load(directory / "chain.linnet");
  REQUIRE(graph.ok());
  REQUIRE(graph->entries().size() == 1);
  CHECK(graph->entries()[0].inputs[0].shape == std::vector<std::string>{"batch", "8"});
  CHECK(graph->entries()[0].inputs[0].largest == std::vector<int64_t>{64, 8});
  auto failure = [&](std::vector<NamedTensor> inputs, std::string_view entry = "main",
                     std::vector<std::string> outputs = {}) {
    return message(graph->run(entry, inputs, outputs));
  };
  std::vector<float> x(16);
  std::vector<int32_t> ints(16);
  CHECK(
      contains(failure({{"x", Tensor::fromFloats({2, 8}, x)}}, "other"), "has no entry 'other', only: main"));
  CHECK(contains(failure({}), "expected 1 inputs, found 0"));
  CHECK(contains(failure({{"y", Tensor::fromFloats({2, 8}, x)}}), "input 'x' is missing"));
  CHECK(contains(failure({{"x", Tensor::fromInts({2, 8}, ints)}}), "input 'x': expected f32, found i32"));
  CHECK(contains(failure({{"x", Tensor::fromFloats({4, 4}, x)}}), "expected shape [4x8], found [4x4]"));
  CHECK(contains(failure({{"x", Tensor::fromFloats({16}, x)}}), "expected 2 dimensions, found [16]"));
  CHECK(contains(failure({{"x", Tensor::fromFloats({3, 8}, x)}}), "its shape needs 96 bytes, it has 64"));
  CHECK(
      contains(failure({{"x", Tensor::fromFloats({65, 8}, x)}}), "expected 'batch' from 1 to 64, found 65"));
  CHECK(contains(failure({{"x", Tensor::fromFloats({0, 8}, {})}}), "expected 'batch' from 1 to 64, found 0"));
  CHECK(contains(failure({{"x", Tensor::fromFloats({2, 8}, x)}}, "main", {"z"}), "has no output 'z'"));
}

TEST_CASE("a profiler hears of each command") {
  TemporaryDirectory directory;
  writeChain(directory / "chain.linnet", {});
  for (int threads : {1, 3}) {
    auto graph = Graph::load(directory / "chain.linnet", {.threads = threads});
    auto profiler = std::make_shared<Profiler>();
    graph->setProfiler(profiler);
    runMain(*graph, std::vector<float>(16), 2, 8);
    runMain(*graph, std::vector<float>(24), 3, 8);
    const Profile &profile = profiler->profile();
    CHECK(profile.device.starts_with("cpu"));
    REQUIRE(profile.calls.size() == 2);
    CHECK(profile.calls[1].entry == "main");
    CHECK(profile.calls[1].dim("batch") == 3);
    std::vector<std::string> heard;
    int64_t last = profile.calls[0].begin;
    for (const ProfileEvent &event : profile.events) {
      const ProfileCommand &command = profile.commands[event.command];
      heard.push_back(fmt::format("{} {} {} {}", event.call, command.number, command.op, command.kernel));
      CHECK(event.begin >= last);
      CHECK(event.end > event.begin); // there is work in each
      last = event.end;
    }
    CHECK(heard == std::vector<std::string>{"0 0 test.affine test_affine", "0 1 test.reverse test_reverse",
                                            "0 2 test.affine test_affine", "1 0 test.affine test_affine",
                                            "1 1 test.reverse test_reverse", "1 2 test.affine test_affine"});
    graph->setProfiler({});
    runMain(*graph, std::vector<float>(16), 2, 8);
    CHECK(profiler->profile().calls.size() == 2);
  }
}

TEST_CASE("a profile says whether kernel or library did a matmul") {
  TemporaryDirectory directory;
  writeMatmul(directory / "matmul.linnet", {});
  auto graph = Graph::load(directory / "matmul.linnet", {.threads = 2});
  auto profiler = std::make_shared<Profiler>();
  graph->setProfiler(profiler);
  for (int64_t rows : {1, 32, 1})
    runMain(*graph, std::vector<float>(static_cast<size_t>(rows * 40)), rows, 40);
  const Profile &profile = profiler->profile();
  REQUIRE(profile.events.size() == 3);
  auto kernel = [&](size_t event) { return profile.commands[profile.events[event].command].kernel; };
  CHECK(kernel(0) == "test_matmul_0");
  CHECK(kernel(2) == "test_matmul_0");
  CHECK(profile.events[2].command == profile.events[0].command);
  cpu::MatmulLibrary library;
  bool supported = library.supports({.m = 32, .k = 40, .n = 150, .a_stride = 40});
  CHECK(kernel(1).starts_with(supported ? "onednn " : "test_matmul_0"));
}

TEST_CASE("what does not fit the processor or the memory is refused with the reason") {
  TemporaryDirectory directory;
  ChainArtifact chain;
  chain.variants = {{"wide", {"avx512f", "avx-from-the-future"}}, {"odd", {"no-such-thing"}}};
  writeChain(directory / "future.linnet", chain);
  CHECK(contains(message(Graph::load(directory / "future.linnet")),
                 "no machine code in the artifact runs on this processor: "));
  CHECK(contains(message(Graph::load(directory / "future.linnet")), "odd needs no-such-thing"));
  chain.variants = {{"wide", {"no-such-thing"}}, {"plain", {}}};
  writeChain(directory / "both.linnet", chain);
  CHECK(Graph::load(directory / "both.linnet").ok());
  chain.variants = {{"plain", {}}};
  chain.arena_bytes = uint64_t(1) << 45;
  writeChain(directory / "huge.linnet", chain);
  std::string error = message(Graph::load(directory / "huge.linnet"));
  CAPTURE(error);
  CHECK(contains(error, "huge.linnet: not enough memory: 351843720"));
  CHECK(contains(error, " available"));
  CHECK(contains(message(Graph::load(directory / "huge.linnet", {.threads = -1})),
                 "expected from 1 to 4096 threads"));
  CHECK(contains(message(Graph::load(directory / "both.linnet", {.device = "cpu:3"})), "takes no argument"));
}

TEST_CASE("a lower instruction set can be forced") {
  // The level that ctest forces on the whole program comes back.
  const char *before = std::getenv(kProcessorVariable);
  const std::string kept = before ? before : "";
  TemporaryDirectory directory;
  ChainArtifact chain;
  chain.variants = {{"wide", {"avx2"}}, {"plain", {}}};
  writeChain(directory / "chain.linnet", chain);
  auto artifact = Artifact::open(directory / "chain.linnet");
  REQUIRE(artifact.ok());
  const fb::Program &program = *artifact->program("cpu");
  unsetenv(kProcessorVariable);
  const bool wide = hostHasFeature("avx2");
  CHECK((*cpu::chooseCode(program))->isa()->str() == (wide ? "wide" : "plain"));
  setenv(kProcessorVariable, "x86-64", 1);
  CHECK_FALSE(hostHasFeature("avx2"));
  CHECK_FALSE(hostHasFeature("sse4.2"));
  CHECK(hostHasFeature("sse2"));
  CHECK((*cpu::chooseCode(program))->isa()->str() == "plain");
  setenv(kProcessorVariable, "x86-64-v3", 1);
  CHECK_FALSE(hostHasFeature("avx512f"));
  CHECK(hostHasFeature("avx2") == wide);
  setenv(kProcessorVariable, "none", 1);
  CHECK(message(cpu::chooseCode(program)) ==
        "LINNET_CPU_ISA: expected one of x86-64-v4-dot, x86-64-v4, x86-64-v3, "
        "x86-64, found 'none'");
  unsetenv(kProcessorVariable);
  if (!hostHasFeature("avx512bf16")) {
    setenv(kProcessorVariable, "x86-64-v4-dot", 1);
    CHECK(contains(message(cpu::chooseCode(program)),
                   "LINNET_CPU_ISA=x86-64-v4-dot: this processor lacks avx512"));
  }
  kept.empty() ? unsetenv(kProcessorVariable) : setenv(kProcessorVariable, kept.c_str(), 1);
}

TEST_CASE("many programs are loaded at a time without mixing their code") {
  TemporaryDirectory directory;
  writeChain(directory / "chain.linnet", {});
  writeCounter(directory / "counter.linnet");
  std::vector<Graph> graphs;
  for (int i = 0; i < 6; ++i)
    graphs.push_back(std::move(*Graph::load(directory / (i % 2 ? "chain.linnet" : "counter.linnet"))));
  std::vector<float> x(8, 1.f);
  for (int i = 0; i < 6; ++i)
    if (i % 2)
      CHECK(runMain(graphs[static_cast<size_t>(i)], x, 1, 8) == chainReference({}, x));
    else
      CHECK(graphs[static_cast<size_t>(i)].run("main", {})->at(0).tensor.floats()[0] == 1);
}

#if !defined(__SANITIZE_ADDRESS__) // which wants terabytes of address space itself
TEST_CASE("a limit on the address space is seen before memory is taken") {
  pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    rlimit limit{uint64_t(1) << 33, uint64_t(1) << 33};
    setrlimit(RLIMIT_AS, &limit);
    bool fits = requireMemory(uint64_t(1) << 20, "a little").ok();
    bool refused = !requireMemory(uint64_t(1) << 34, "too much").ok();
    bool failed = !Reservation::allocate(uint64_t(1) << 34, "too much").ok();
    _exit(fits && refused && failed ? 42 : 1);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WEXITSTATUS(status) == 42);
}
#endif

TEST_CASE("reserved memory is zero, occupies nothing until touched, and is zero again when asked") {
  auto memory = Reservation::allocate(uint64_t(1) << 30, "a test");
  REQUIRE(memory.ok());
  CHECK(reinterpret_cast<uintptr_t>(memory->data()) % 64 == 0);
  auto *words = reinterpret_cast<uint64_t *>(memory->data());
  CHECK(words[12345] == 0);
  words[12345] = 7;
  memory->zero();
  CHECK(words[12345] == 0);
  rusage use;
  getrusage(RUSAGE_SELF, &use);
  CHECK(use.ru_maxrss < 700 * 1024); // KiB: the gigabyte was never resident
}
