// Compares matmuls in 16-bit arithmetic with the interpreter: how far off they are, and that no finite
// numbers become infinite.
#include "tests/vulkan/halves.h"
#include "tests/vulkan/subject.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <random>

using namespace linnet;
using namespace linnet::testing;
using reference::Kind;
using reference::Named;
using reference::Tensor;

namespace {

struct Matmul {
  std::string type; ///< of w
  int64_t m, k, n, group = 0;
  bool asymmetric = false;

  bool scaled() const { return type != "f16"; }
  int64_t scales() const { return group ? (k + group - 1) / group * (asymmetric ? 2 : 1) : 1; }
  std::string attributes() const {
    return group ? fmt::format(" {{group = {} : i64{}}}", group, asymmetric ? ", asymmetric" : "") : "";
  }
  std::string text() const {
    const std::string scale = fmt::format("tensor<{}x{}xf32>", scales(), n);
    return fmt::format(
        R"(module attributes {{linnet.bounds = {{seq = {}}}}} {{
func.func @main(%x: tensor<?x{}xf32, #linnet.dims<seq>> {{linnet.name = "x"}})
    -> (tensor<?x{}xf32, #linnet.dims<seq>> {{linnet.name = "out"}}) {{
  %w = linnet.param "w" : tensor<{}x{}x{}>
  %s = linnet.param "s" : {}
  %r = linnet.matmul %x, %w{} : tensor<?x{}xf32, #linnet.dims<seq>>, tensor<{}x{}x{}>{}
  return %r : tensor<?x{}xf32, #linnet.dims<seq>>
}}
}})",
        m, k, n, k, n, type, scale, scaled() ? " scale %s" + attributes() : "", k, k, n, type,
        scaled() ? " scale " + scale : "", n);
  }
};

/// Drawn numbers, and what they are multiplied by.
struct Numbers {
  std::mt19937 random{7};
  std::normal_distribution<float> normal{0, 1};

  Tensor floats(Kind kind, int64_t rows, int64_t columns, float size) {
    Tensor made = Tensor::zeros(kind, {rows, columns});
    for (int64_t i = 0; i < made.size(); ++i)
      made.data()[i] = reference::rounded(kind, size * normal(random));
    return made;
  }
  Tensor weights(const Matmul &matmul, float size) {
    if (!matmul.scaled()) return floats(Kind::f16, matmul.k, matmul.n, size);
    const bool bytes = matmul.type == "i8";
    Tensor made = Tensor::zeros(bytes ? Kind::i8 : Kind::i4, {matmul.k, matmul.n});
    const int most = bytes ? 127 : 7;
    for (int64_t i = 0; i < made.size(); ++i) made.ints()[i] = int(random() % unsigned(2 * most + 1)) - most;
    return made;
  }
};

/// The largest difference as a part of the row's largest result; infinite where a number is none.
double apart(const Tensor &expected, const Tensor &found) {
  double worst = 0;
  const int64_t columns = expected.shape[1];
  for (int64_t row = 0; row < expected.shape[0]; ++row) {
    double largest = 0, difference = 0;
    for (int64_t i = row * columns; i < (row + 1) * columns; ++i) {
      if (!std::isfinite(found.data()[i])) return HUGE_VAL;
      largest = std::max<double>(largest, std::fabs(expected.data()[i]));
      difference = std::max<double>(difference, std::fabs(double(expected.data()[i]) - found.data()[i]));
    }
    if (difference > 0) worst = std::max(worst, largest > 0 ? difference / largest : HUGE_VAL);
  }
  return worst;
}

double errorOf(const Runner &runner, const Matmul &matmul, const Tensor &x, const Tensor &w,
               const Tensor &s) {
  Subject subject(matmul.text(),
                  [&](std::string_view name) -> Result<Tensor> { return name == "w" ? w : s; });
  const Named expected = subject.interpreted({{"x", x}});
  const Named found = Subject::ran(subject.load(runner), {{"x", x}});
  return apart(expected.at("out"), found.at("out"));
}

} // namespace

TEST_CASE("matmuls in 16-bit arithmetic differ by little, whatever the size of the numbers") {
  setenv("LINNET_VULKAN_TRIALS", "off", 1); // what is put aside would not be tested
  const auto runner = halvesRunner();
  if (!runner) return;
  const Matmul matmul =
      GENERATE(Matmul{"f16", 67, 100, 70}, Matmul{"i8", 67, 100, 70}, Matmul{"i4", 67, 100, 70, 32},
               Matmul{"i4", 67, 100, 70, 32, true}, Matmul{"f16", 9, 4, 3}, Matmul{"i8", 130, 768, 65});
  CAPTURE(matmul.type, matmul.m, matmul.k, matmul.n);
  Numbers numbers;
  const Tensor s = numbers.floats(Kind::f32, matmul.scales(), matmul.n, 0.01f);
  for (const float size_of_w : {0.05f, 10000.f, 1e-7f}) {
    if (matmul.scaled() && size_of_w != 0.05f) continue;
    const Tensor w = numbers.weights(matmul, size_of_w);
    for (const float size : {1.f, 1e5f, 1e-20f, 1e30f}) {
      Tensor x = numbers.floats(Kind::f32, matmul.m, matmul.k, size);
      for (int64_t i = 0; i < matmul.k; i += 50) x.data()[i] *= 3000; // the first row has a few large ones
      for (int64_t i = matmul.k; i < 2 * matmul.k; ++i) x.data()[i] = 0;
      const double error = errorOf(*runner, matmul, x, w, s);
      INFO("w of " << size_of_w << ", a of " << size << ": off by " << error);
      CHECK(error < 3e-3);
    }
  }
}
