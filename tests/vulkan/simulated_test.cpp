// Cases that the conformance cases on simulated GPUs lack. Also checks that those find the errors they exist
// for: a kernel without one of its barriers is an error.
#include "tests/ops/modules.h"
#include "tests/vulkan/simulated.h"
#include "tests/vulkan/subject.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <set>

using namespace linnet;
using namespace linnet::testing;
using reference::Kind;
using reference::Named;
using reference::Tensor;

namespace {

constexpr uint32_t kHeader = 5, kControlBarrier = 224, kMemoryBarrier = 225;

/// Where the shader's barriers are, and fences.
std::vector<size_t> barriersOf(const std::vector<uint32_t> &words) {
  std::vector<size_t> found;
  for (size_t i = kHeader; i < words.size(); i += words[i] >> 16)
    if (const uint32_t op = words[i] & 0xffff; op == kControlBarrier || op == kMemoryBarrier)
      found.push_back(i);
  return found;
}

Tensor drawn(Kind kind, std::vector<int64_t> shape, unsigned seed) {
  Tensor made = Tensor::zeros(kind, std::move(shape));
  std::mt19937 random(seed);
  for (int64_t i = 0; i < made.size(); ++i) {
    if (made.isFloat())
      made.data()[i] = reference::rounded(kind, float(random() % 2001) / 1000 - 1);
    else
      made.ints()[i] = int32_t(random() % 15) - 7;
  }
  return made;
}

struct Case {
  std::string device, shader; ///< the beginning of its name
  std::string text;
  Named inputs;
  /// Barriers of code that other kernels share, and need, which here follow another one with nothing between.
  std::set<size_t> needless = {};
};

/// Of the shader's barriers those without which nobody would know.
std::set<size_t> unseen(const Case &of) {
  Subject subject(of.text, [](std::string_view name) -> Result<Tensor> {
    if (name == "long") return drawn(Kind::i8, {2100, 200}, 6);
    if (name == "w") return drawn(Kind::i8, {100, 200}, 3);
    if (name == "g") return drawn(Kind::f32, {100}, 5);
    return drawn(Kind::f32, {1, 200}, 4);
  });
  size_t all = 0;
  auto run = [&](size_t without) {
    const ShaderChange change = [&](std::string_view shader, std::vector<uint32_t> &words) {
      if (!shader.starts_with(of.shader)) return;
      const std::vector<size_t> barriers = barriersOf(words);
      all = std::max(all, barriers.size());
      if (without >= barriers.size()) return;
      const auto at = words.begin() + ptrdiff_t(barriers[without]);
      words.erase(at, at + (*at >> 16));
    };
    return subject.load(simulatedRunner(of.device, change))("main", of.inputs);
  };
  auto whole = run(~size_t(0));
  INFO((whole ? "" : whole.error().message));
  REQUIRE(whole.ok());
  REQUIRE(all > 0);
  std::set<size_t> found;
  for (size_t i = 0; i < all; ++i)
    if (run(i).ok()) found.insert(i);
  return found;
}

const std::string kRows = "tensor<?x100xf32, #linnet.dims<seq>>", kBounds = "batch = 5, seq = 200";

const std::string kWide = "tensor<?x200xf32, #linnet.dims<seq>>";

/// 100 columns of so many rows.
Named rows(int64_t count) { return {{"x", drawn(Kind::f32, {count, 100}, 1)}}; }

/// @main of rows of 100 columns %x.
std::string text(const std::string &body, const std::string &type = kRows) {
  const std::string whole =
      "  %w = linnet.param \"w\" : $w\n  %s = linnet.param \"s\" : $s\n  %g = linnet.param \"g\" : $g\n" +
      body;
  return replaced(function({{"x", kRows}}, whole, "r", type, kBounds), {{"$x", kRows},
                                                                        {"$w", "tensor<100x200xi8>"},
                                                                        {"$s", "tensor<1x200xf32>"},
                                                                        {"$g", "tensor<100xf32>"},
                                                                        {"$r", kWide}});
}

const std::string kMatmul = "  %r = linnet.matmul %x, %w scale %s : $x, $w scale $s",
                  kNorm = "  %n = linnet.layer_norm %x, %g, %g {epsilon = 1.0e-5 : f32} : $x, $g, $g\n",
                  kBest = kNorm + "  %m = linnet.matmul %n, %w scale %s : $x, $w scale $s\n"
                                  "  %r = linnet.argmax %m : $r";

/// So long a k that workgroups share it.
std::string longMatmul() {
  const std::string x = "tensor<?x2100xf32, #linnet.dims<seq>>", r = "tensor<?x200xf32, #linnet.dims<seq>>";
  return replaced(function({{"x", x}},
                           "  %w = linnet.param \"long\" : $w\n  %s = linnet.param \"s\" : $s\n  %r = "
                           "linnet.matmul %x, %w scale %s : $x, $w scale $s",
                           "r", r, kBounds),
                  {{"$x", x}, {"$w", "tensor<2100x200xi8>"}, {"$s", "tensor<1x200xf32>"}});
}

const std::string kHeads = "tensor<?x?x2x20xf32, #linnet.dims<batch, seq>>";
std::string attention() {
  const std::string kv = "tensor<?x2x150x20xf32, #linnet.dims<batch>>";
  return replaced(
      function({{"q", kHeads}, {"k", kv}, {"v", kv}},
               "  %r = linnet.attention %q, %k, %v {scale = 0.3 : f32, causal = false} : $q, $k, $k", "r",
               kHeads, kBounds),
      {{"$q", kHeads}, {"$k", kv}});
}
Named queries(int64_t count) {
  return {{"q", drawn(Kind::f32, {2, count, 2, 20}, 1)},
          {"k", drawn(Kind::f32, {2, 2, 150, 20}, 2)},
          {"v", drawn(Kind::f32, {2, 2, 150, 20}, 3)}};
}

/// rows(n) times a weight of some type.
struct Weighted {
  std::string type;
  bool asymmetric = false; ///< of i4
  int64_t scales() const { return group() ? (asymmetric ? 8 : 4) : 1; }
  int64_t group() const { return type == "i4" ? 32 : 0; }
  bool scaled() const { return type == "i8" || type == "i4"; }
  Kind kind() const {
    return type == "f32"    ? Kind::f32
           : type == "f16"  ? Kind::f16
           : type == "bf16" ? Kind::bf16
           : type == "i8"   ? Kind::i8
                            : Kind::i4;
  }
  std::string text() const {
    const std::string body = "  %w = linnet.param \"w\" : $w\n  %s = linnet.param \"s\" : $s\n" +
                             std::string(scaled() ? "  %r = linnet.matmul %x, %w scale %s$g : $x, $w scale $s"
                                                  : "  %r = linnet.matmul %x, %w : $x, $w");
    return replaced(
        function({{"x", kRows}}, body, "r", "tensor<?x70xf32, #linnet.dims<seq>>", kBounds),
        {{"$x", kRows},
         {"$w", fmt::format("tensor<100x70x{}>", type)},
         {"$s", fmt::format("tensor<{}x70xf32>", scales())},
         {"$g",
          group() ? fmt::format(" {{group = {} : i64{}}}", group(), asymmetric ? ", asymmetric" : "") : ""}});
  }
  reference::WeightProvider weights() const {
    return [*this](std::string_view name) -> Result<Tensor> {
      return name == "w" ? drawn(kind(), {100, 70}, 3) : drawn(Kind::f32, {scales(), 70}, 4);
    };
  }
};

/// The largest difference, as a part of the largest number.
double apart(const Tensor &expected, const Tensor &found) {
  double largest = 0, apart = 0;
  for (int64_t i = 0; i < expected.size(); ++i) {
    largest = std::max<double>(largest, std::fabs(expected.data()[i]));
    const double difference = std::fabs(double(expected.data()[i]) - found.data()[i]);
    apart = std::max(apart, std::isnan(difference) ? HUGE_VAL : difference);
  }
  return apart / largest;
}

} // namespace

TEST_CASE("a kernel that lacks one of its barriers is found out") {
  const std::string few = "16 lanes, few workgroups", matrices = "32 or 64 lanes";
  const std::string best = "tensor<?xi32, #linnet.dims<seq>>";
  const Case of = GENERATE_COPY(
      Case{matrices, "matmul_lanes4", text(kMatmul, kWide), rows(8)},
      Case{matrices, "matmul_direct4", text(kMatmul, kWide), rows(8)},
      Case{matrices, "matmul_lanes4", text(kBest, best), rows(8), {2, 11, 21, 24, 33}},
      Case{matrices, "matmul_direct4", text(kBest, best), rows(8), {18, 20, 29, 39, 42, 51}},
      Case{matrices, "matmul_lanes1", text(kBest, best), rows(1), {2, 11, 21, 24, 33}},
      Case{matrices, "matmul_tiled", text(kMatmul, kWide), rows(200)},
      Case{matrices, "matmul_half", text(kMatmul, kWide), rows(200)},
      Case{matrices, "matmul_matrix", text(kMatmul, kWide), rows(200)},
      Case{matrices, "matmul_lanes4", longMatmul(), {{"x", drawn(Kind::f32, {8, 2100}, 1)}}, {0}},
      Case{few, "layer_norm",
           text("  %r = linnet.layer_norm %x, %g, %g {epsilon = 1.0e-5 : f32} : $x, $g, $g"), rows(9)},
      Case{few, "softmax", text("  %r = linnet.softmax %x : $x"), rows(9)},
      Case{few, "argmax", text("  %r = linnet.argmax %x : $x", best), rows(9), {0, 8}},
      Case{few, "sum_rows", text("  %r = linnet.sum_rows %g, %x : $g, $x", "tensor<100xf32>"), rows(50)},
      Case{few, "tiled_attention", attention(), queries(40), {0}});
  CAPTURE(of.shader);
  CHECK(unseen(of) == of.needless);
}

TEST_CASE("matmuls of any number of rows with weights of each type, in all their variants") {
  const Weighted matmul = GENERATE(Weighted{"f32"}, Weighted{"f16"}, Weighted{"bf16"}, Weighted{"i8"},
                                   Weighted{"i4"}, Weighted{"i4", true});
  Subject subject(matmul.text(), matmul.weights());
  for (const Runner &runner : runnersUnderTest()) {
    INFO(matmul.type << " on " << runner.name);
    const Runner::Run run = subject.load(runner);
    for (const int64_t count : {1, 2, 7, 8, 9, 40, 67}) {
      if (!run) continue;
      const Tensor expected = subject.interpreted(rows(count)).at("out");
      CHECK(apart(expected, Subject::ran(run, rows(count)).at("out")) <= 1e-5);
    }
  }
}

TEST_CASE("what a GPU would choose among is executed, not the first alone") {
  const Weighted matmul{"f16"};
  Subject subject(matmul.text(), matmul.weights());
  std::set<std::string> executed;
  const ShaderChange look = [&](std::string_view shader, std::vector<uint32_t> &) {
    executed.emplace(shader.substr(0, shader.find('_', 7)));
    if (shader.find("_subgroup32") != std::string_view::npos)
      executed.emplace(shader.substr(shader.rfind('_', shader.rfind('_') - 1) + 1));
  };
  const Runner::Run run = subject.load(simulatedRunner("32 lanes", look));
  for (const int64_t count : {1, 7, 8, 40}) Subject::ran(run, rows(count));
  CHECK(executed == std::set<std::string>{"16x16x16_subgroup32", "16x8x16_subgroup32", "matmul_direct1",
                                          "matmul_direct4", "matmul_half64", "matmul_lanes1", "matmul_lanes4",
                                          "matmul_matrix64", "matmul_tiled64"});
}
