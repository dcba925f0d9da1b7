// linnet.sample on a Vulkan device: the interpreter's draws, and the host sampler's.
#include "runtime/sampler.h"
#include "tests/catch.h"
#include "tests/vulkan/subject.h"

#include <fmt/format.h>

#include <cmath>
#include <random>

using namespace linnet;
using namespace linnet::testing;
using reference::Kind;
using reference::Named;
using reference::Tensor;

namespace {

constexpr int64_t kRows = 96;

/// Rows of one draw, alike but for their logits, positions and copies.
struct Draws {
  int64_t columns = 1;
  GenerateOptions options;
  std::vector<float> logits; // kRows x columns
  std::vector<int32_t> positions, copies;

  Draws(int64_t columns, GenerateOptions with, unsigned seed) : columns(columns), options(std::move(with)) {
    options.do_sample = true;
    std::mt19937 random(seed);
    std::normal_distribution<float> normal(0, 3);
    for (int64_t i = 0; i < kRows * columns; ++i) { // every other row has many equals
      const float x = normal(random);
      logits.push_back(i / columns % 2 ? std::round(x * 4) / 4 : x);
    }
    for (int64_t b = 0; b < kRows; ++b) {
      positions.push_back(static_cast<int32_t>(random() % 2000));
      copies.push_back(static_cast<int32_t>(random() % 3));
    }
    options.seed = (uint64_t(random()) << 32) | random();
  }
  std::span<float> row(int64_t b) { return std::span(logits).subspan(size_t(b * columns), size_t(columns)); }

  std::string text(const char *type = "f32") const {
    return fmt::format(R"(!f = tensor<?xf32, #linnet.dims<batch>>
!i = tensor<?xi32, #linnet.dims<batch>>
module attributes {{linnet.bounds = {{batch = {}}}}} {{
func.func @main(%x: tensor<?x{}x{}, #linnet.dims<batch>> {{linnet.name = "x"}}, %t: !f {{linnet.name = "t"}}, %k: !i {{linnet.name = "k"}},
    %p: !f {{linnet.name = "p"}}, %s: tensor<2xi32> {{linnet.name = "s"}}, %n: !i {{linnet.name = "n"}}, %c: !i {{linnet.name = "c"}})
    -> (!i {{linnet.name = "out"}}) {{
  %r = linnet.sample %x temperature %t top_k %k top_p %p seed %s position %n copy %c
      : tensor<?x{}x{}, #linnet.dims<batch>>, !f, !i, !f, tensor<2xi32>, !i, !i
  return %r : !i
}}
}})",
                       kRows, columns, type, columns, type);
  }
  Named inputs(Kind kind = Kind::f32) const {
    auto floats = [](std::vector<int64_t> shape, const std::vector<float> &values, Kind kind) {
      Tensor made = Tensor::zeros(kind, std::move(shape));
      for (size_t i = 0; i < values.size(); ++i)
        made.data()[i] = static_cast<float>(reference::rounded(kind, values[i]));
      return made;
    };
    auto ints = [](const std::vector<int32_t> &values) {
      Tensor made = Tensor::zeros(Kind::i32, {static_cast<int64_t>(values.size())});
      std::copy(values.begin(), values.end(), made.ints());
      return made;
    };
    const auto n = static_cast<size_t>(kRows);
    return {{"x", floats({kRows, columns}, logits, kind)},
            {"t", floats({kRows}, std::vector<float>(n, options.temperature), Kind::f32)},
            {"k", ints(std::vector<int32_t>(n, static_cast<int32_t>(options.top_k)))},
            {"p", floats({kRows}, std::vector<float>(n, options.top_p), Kind::f32)},
            {"s", ints({static_cast<int32_t>(options.seed), static_cast<int32_t>(options.seed >> 32)})},
            {"n", ints(positions)},
            {"c", ints(copies)}};
  }
  std::vector<TokenId> host() {
    Sampler sampler(columns, options);
    std::vector<TokenId> drawn;
    for (int64_t b = 0; b < kRows; ++b)
      drawn.push_back(sampler.sample(row(b), static_cast<uint32_t>(positions[size_t(b)]),
                                     static_cast<uint32_t>(copies[size_t(b)])));
    return drawn;
  }
};

std::vector<TokenId> tokens(const Named &outputs) {
  const Tensor &out = outputs.at("out");
  return {out.ints(), out.ints() + out.size()};
}

std::vector<TokenId> tokensOf(const Runner::Run &run, const Named &inputs) {
  return tokens(Subject::ran(run, inputs));
}

const GenerateOptions kOptions[] = {
    {.top_k = 0},
    {.temperature = 0.7f, .top_k = 0},
    {.temperature = 3.0f, .top_k = 0},
    {.top_k = 1},
    {.top_k = 7},
    {.top_k = 50},
    {.top_k = 128},
    {.top_k = 129},
    {.top_k = 100000},
    {.top_k = 0, .top_p = 0.9f},
    {.top_k = 0, .top_p = 0.01f},
    {.temperature = 1.7f, .top_k = 20, .top_p = 0.5f},
    {.temperature = 0.5f, .top_k = 0, .top_p = 0.95f},
};

} // namespace

TEST_CASE("drawn tokens are the interpreter's and the host sampler's") {
  const int64_t columns = GENERATE(1, 2, 13, 131, 1003);
  CAPTURE(columns);
  Subject subject(Draws(columns, {}, 0).text());
  unsigned seed = 1;
  const std::vector<Runner> runners = runnersUnderTest(); // there is one choice: the first is the last
  for (const Runner &runner : {runners.front(), runners.back()}) {
    CAPTURE(runner.name);
    auto run = subject.load(runner);
    for (const GenerateOptions &options : kOptions) {
      CAPTURE(options.temperature, options.top_k, options.top_p);
      Draws draws(columns, options, seed++);
      const auto found = tokensOf(run, draws.inputs());
      CHECK(found == tokens(subject.interpreted(draws.inputs())));
      CHECK(found == draws.host());
    }
  }
}

TEST_CASE("drawn tokens of logits in 16 bits") {
  for (auto [type, kind] : {std::pair("f16", Kind::f16), std::pair("bf16", Kind::bf16)}) {
    Draws draws(131, {.temperature = 0.8f, .top_k = 30, .top_p = 0.9f}, 5);
    Subject subject(draws.text(type));
    auto run = subject.load(runnersUnderTest().front());
    CHECK(tokensOf(run, draws.inputs(kind)) == tokens(subject.interpreted(draws.inputs(kind))));
  }
}

TEST_CASE("logits that are infinite, equal, or no numbers are drawn from as the host does") {
  const float inf = HUGE_VALF, nan = std::nanf("");
  const std::vector<std::vector<float>> rows = {
      {nan, nan, nan, nan, nan},
      {-inf, -inf, -inf, -inf, -inf},
      {nan, -inf, nan, -inf, nan},
      {1, inf, 2, inf, 3},
      {nan, inf, -inf, 1, 2},
      {-inf, 1, -inf, 2, -inf},
      {nan, 1, nan, 2, 2},
      {5, 5, 5, 5, 5},
      {0.f, -0.f, 0.f, -0.f, 0.f},
      {-3e38f, 3e38f, 0, 1, 3e38f},
      {1e-40f, -1e-40f, 0, 2e-40f, 0},
      {-50, -50.25f, -51, -49, -50},
  };
  Subject subject(Draws(5, {}, 0).text());
  auto run = subject.load(runnersUnderTest().front());
  for (int64_t k : {0, 1, 2, 3, 4, 5})
    for (float p : {1.f, 0.9f, 0.5f, 0.3f}) {
      Draws draws(5, {.top_k = k, .top_p = p}, unsigned(k));
      for (int64_t b = 0; b < kRows; ++b)
        std::ranges::copy(rows[size_t(b) % rows.size()], draws.row(b).begin());
      CAPTURE(k, p);
      const auto found = tokensOf(run, draws.inputs());
      CHECK(found == tokens(subject.interpreted(draws.inputs())));
      CHECK(found == draws.host());
    }
}

TEST_CASE("more equals than the device lists of the largest k") {
  Draws draws(1003, {.top_k = 3, .top_p = 0.7f}, 8);
  for (int64_t b = 0; b < kRows; ++b)
    for (size_t i = 0; float &x : draws.row(b)) x = i++ % 4 ? 1.f : static_cast<float>(b % 3);
  Subject subject(draws.text());
  auto run = subject.load(runnersUnderTest().front());
  const auto found = tokensOf(run, draws.inputs());
  CHECK(found == tokens(subject.interpreted(draws.inputs())));
  CHECK(found == draws.host());
}

// f32 exponentials on the device, f64 on the host: where the random number lies at the edge of a token's
// share its neighbour may be drawn. docs/architecture.md tells the rate.
TEST_CASE("of GPT-2's vocabulary nearly all drawn tokens are the host sampler's") {
  const Runner runner = runnersUnderTest().front();
  if (runner.slow) return;
  Subject subject(Draws(50257, {}, 0).text());
  auto run = subject.load(runner);
  Draws again(50257, {}, 99);
  CHECK(tokensOf(run, again.inputs()) == tokensOf(run, again.inputs()));
  int64_t differ = 0, all = 0;
  unsigned seed = 100;
  for (const GenerateOptions &options : kOptions) {
    Draws draws(50257, options, seed++);
    const auto found = tokensOf(run, draws.inputs()), expected = draws.host();
    for (size_t b = 0; b < found.size(); ++b) differ += found[b] != expected[b];
    all += kRows;
  }
  WARN(differ << " of " << all << " draws differ from the host's");
  CHECK(differ * 200 <= all);
}
