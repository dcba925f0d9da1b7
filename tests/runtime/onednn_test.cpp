// oneDNN's matmuls: results, and which implementation the library picks.
#include "runtime/cpu/onednn.h"
#include "runtime/layout.h"
#include "support/half.h"
#include "support/processor.h"
#include "tests/catch.h"

#include <cmath>
#include <random>
#include <string>
#include <vector>

using namespace linnet;
using namespace linnet::cpu;

namespace {

std::vector<float> randomValues(size_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> values(n);
  for (float &x : values) x = uniform(random);
  return values;
}

/// Rounds each value to bf16 and returns what the rounding took away.
std::vector<uint16_t> narrowed(std::vector<float> &values) {
  std::vector<uint16_t> out;
  for (float &x : values) {
    out.push_back(toBfloat(x));
    x = fromBfloat(out.back());
  }
  return out;
}

/// Panels of 16 x 64 with two rows together.
std::vector<uint16_t> packPairs(const std::vector<uint16_t> &w, int64_t k, int64_t n) {
  std::vector<uint16_t> packed(static_cast<size_t>((k + 15) / 16 * 16 * ((n + 63) / 64 * 64)));
  for (int64_t i = 0; i < k; ++i)
    for (int64_t j = 0; j < n; ++j)
      packed[static_cast<size_t>(j / 64 * ((k + 15) / 16 * 1024) + i / 2 * 128 + j % 64 * 2 + i % 2)] =
          w[static_cast<size_t>(i * n + j)];
  return packed;
}

std::vector<float> pack(const std::vector<float> &w, int64_t k, int64_t n) {
  PanelLayout layout;
  std::vector<float> packed(static_cast<size_t>(layout.elements(k, n)));
  int64_t k_blocks = (k + 15) / 16;
  for (int64_t i = 0; i < k; ++i)
    for (int64_t j = 0; j < n; ++j)
      packed[static_cast<size_t>((j / 64 * k_blocks + i / 16) * 1024 + i % 16 * 64 + j % 64)] =
          w[static_cast<size_t>(i * n + j)];
  return packed;
}

double activate(double x, fb::Activation activation) {
  switch (activation) {
  case fb::Activation::relu:
    return x > 0 ? x : 0;
  case fb::Activation::gelu_erf:
    return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
  case fb::Activation::gelu_tanh:
    return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
  case fb::Activation::gelu_quick:
    return x / (1 + std::exp(-1.702 * x));
  case fb::Activation::silu:
    return x / (1 + std::exp(-x));
  case fb::Activation::none:
    return x;
  }
  return x;
}

// Runs the shape and gives the largest difference from the definition.
double largestError(const MatmulShape &s) {
  auto a = randomValues(static_cast<size_t>((s.transpose_a ? s.k : s.m) * s.a_stride), 1),
       w = randomValues(static_cast<size_t>(s.k * s.n), 2);
  auto bias = randomValues(static_cast<size_t>(s.n), 3),
       residual = randomValues(static_cast<size_t>(s.m * s.n), 4);
  const bool pairs = s.bf16 && !s.plain;
  auto a16 = pairs ? narrowed(a) : std::vector<uint16_t>(),
       w16 = pairs ? packPairs(narrowed(w), s.k, s.n) : std::vector<uint16_t>();
  auto packed = s.plain ? w : pack(w, s.k, s.n);
  std::vector<float> out =
      s.residual == Residual::InPlace ? residual : std::vector<float>(residual.size(), NAN);
  MatmulLibrary library;
  REQUIRE(library.supports(s));
  std::vector<char> scratch(static_cast<size_t>(*library.scratchBytes(s)) + 64);
  auto ran = library.run(s,
                         {pairs ? static_cast<const void *>(a16.data()) : a.data(),
                          pairs ? static_cast<const void *>(w16.data()) : packed.data(), bias.data(),
                          residual.data(), out.data()},
                         scratch.data());
  INFO((ran ? "" : ran.error().message));
  REQUIRE(ran.ok());
  double worst = 0;
  for (int64_t i = 0; i < s.m; ++i)
    for (int64_t j = 0; j < s.n; ++j) {
      double sum = s.bias ? static_cast<double>(bias[static_cast<size_t>(j)]) : 0;
      for (int64_t k = 0; k < s.k; ++k)
        sum += static_cast<double>(
                   a[static_cast<size_t>(s.transpose_a ? k * s.a_stride + i : i * s.a_stride + k)]) *
               static_cast<double>(w[static_cast<size_t>(s.transpose_w ? j * s.k + k : k * s.n + j)]);
      auto at = static_cast<size_t>(i * s.n + j);
      double expected = activate(sum, s.activation);
      if (s.residual != Residual::None) expected += static_cast<double>(residual[at]);
      worst = std::max(worst, std::abs(expected - static_cast<double>(out[at])));
    }
  return worst;
}

} // namespace

TEST_CASE("the library's matmul computes what a PackedMatmul says") {
  if (!hostHasFeature("avx512f")) { // the layout has no optimized implementation, and then none is used
    MatmulLibrary library;
    CHECK_FALSE(library.supports({.m = 64, .k = 64, .n = 64, .a_stride = 64}));
    return;
  }
  for (auto activation : {fb::Activation::none, fb::Activation::relu, fb::Activation::gelu_erf,
                          fb::Activation::gelu_tanh, fb::Activation::gelu_quick, fb::Activation::silu})
    for (auto residual : {Residual::None, Residual::Elsewhere, Residual::InPlace})
      for (bool bias : {false, true})
        for (int64_t m : {1, 7, 33}) {
          MatmulShape s{.m = m, .k = 48, .n = 130, .a_stride = 50};
          s.activation = activation;
          s.residual = residual;
          s.bias = bias;
          CAPTURE(m, bias, static_cast<int>(activation), static_cast<int>(residual));
          CHECK(largestError(s) < 1e-4);
        }
  CHECK(largestError({.m = 20, .k = 37, .n = 61, .a_stride = 37}) < 1e-4); // nothing divides
}

TEST_CASE("the library multiplies pairs of bf16 as the generated kernels store them") {
  if (!hostHasFeature("avx512bf16")) {
    MatmulLibrary library;
    CHECK_FALSE(library.supports({.m = 64, .k = 64, .n = 64, .a_stride = 64, .bf16 = true}));
    return;
  }
  for (auto residual : {Residual::None, Residual::Elsewhere, Residual::InPlace})
    for (bool bias : {false, true})
      for (int64_t m : {1, 7, 33}) {
        MatmulShape s{.m = m, .k = 96, .n = 130, .a_stride = 96, .bf16 = true};
        s.residual = residual, s.bias = bias;
        s.activation = bias ? fb::Activation::gelu_tanh : fb::Activation::none;
        CAPTURE(m, bias, static_cast<int>(residual));
        CHECK(largestError(s) < 1e-4);
      }
}

TEST_CASE("row-major matmuls, either operand stored transposed, on any processor") {
  for (bool transpose_a : {false, true})
    for (bool transpose_w : {false, true})
      for (auto residual : {Residual::None, Residual::Elsewhere, Residual::InPlace})
        for (bool bias : {false, true}) {
          MatmulShape s{.m = 33, .k = 47, .n = 130, .a_stride = transpose_a ? 33 : 47, .plain = true};
          s.transpose_a = transpose_a, s.transpose_w = transpose_w;
          s.residual = residual;
          s.bias = bias;
          s.activation = bias ? fb::Activation::gelu_tanh : fb::Activation::none;
          CAPTURE(transpose_a, transpose_w, bias, static_cast<int>(residual));
          CHECK(largestError(s) < 1e-4);
        }
}

TEST_CASE("no matmul of a GPT-2 training step falls to the library's reference loops") {
  MatmulLibrary library;
  constexpr int64_t kRows = 512;
  const bool bf16 = GENERATE(false, true);
  if (bf16 && !hostHasFeature("avx512bf16")) return; // then none of bf16 is used: supports() says no
  for (int64_t n_embd : {768, 1024, 1600})
    for (auto [in, out] : {std::pair(n_embd, 3 * n_embd),
                           {n_embd, n_embd},
                           {n_embd, 4 * n_embd},
                           {4 * n_embd, n_embd},
                           {n_embd, int64_t(50257)}})
      for (int way : {0, 1, 2}) { // y = x w, dx = dy w^T, dw += x^T dy
        MatmulShape s{.m = way == 2 ? in : kRows,
                      .k = way == 0   ? in
                           : way == 1 ? out
                                      : kRows,
                      .n = way == 1 ? in : out};
        s.plain = true, s.bf16 = bf16;
        s.transpose_a = way == 2, s.transpose_w = way == 1;
        s.a_stride = s.transpose_a ? s.m : s.k;
        if (way == 2) s.residual = Residual::InPlace;
        s.bias = way == 0 && out != 50257;
        if (s.bias && out == 4 * n_embd) s.activation = fb::Activation::gelu_tanh;
        auto name = library.implementation(s);
        REQUIRE(name.ok());
        CAPTURE(s.m, s.k, s.n, *name);
        CHECK(name->find("ref") == std::string::npos);
        CHECK(library.supports(s));
      }
}

TEST_CASE("no GPT-2 shape falls to the library's reference loops") {
  if (!hostHasFeature("avx512f")) {
    MatmulLibrary library;
    auto name = library.implementation({.m = 128, .k = 768, .n = 768, .a_stride = 768});
    CHECK((!name || name->find("ref") != std::string::npos)); // why supports() says no
    return;
  }
  MatmulLibrary library;
  const bool bf16 = GENERATE(false, true);
  if (bf16 && !hostHasFeature("avx512bf16")) return; // supports() says no
  for (int64_t n_embd : {768, 1024, 1280, 1600})
    for (int64_t m : {17, 32, 100, 128, 512, 1024})
      for (auto [k, n] : {std::pair(n_embd, 3 * n_embd),
                          {n_embd, n_embd},
                          {n_embd, 4 * n_embd},
                          {4 * n_embd, n_embd},
                          {n_embd, int64_t(50257)}}) {
        MatmulShape s{.m = m, .k = k, .n = n, .a_stride = k};
        s.bf16 = bf16;
        s.bias = n != 50257;
        if (n == 4 * n_embd) s.activation = fb::Activation::gelu_tanh;
        if (n == n_embd) s.residual = Residual::Elsewhere;
        auto name = library.implementation(s);
        REQUIRE(name.ok());
        CAPTURE(m, k, n, *name);
        CHECK(name->find("ref") == std::string::npos);
        CHECK(library.supports(s));
      }
}

TEST_CASE("the cache of primitives is bounded and forgets nothing that matters") {
  if (!hostHasFeature("avx512f")) return;
  MatmulLibrary library;
  std::vector<float> a(200 * 16, 1.f), w(16 * 64, 1.f), out(200 * 64);
  std::vector<char> scratch(1 << 20);
  for (int round = 0; round < 2; ++round)
    for (int64_t m = 1; m <= 150; ++m) {
      MatmulShape s{.m = m, .k = 16, .n = 64, .a_stride = 16};
      REQUIRE(*library.scratchBytes(s) <= scratch.size());
      REQUIRE(library.run(s, {a.data(), w.data(), nullptr, nullptr, out.data()}, scratch.data()).ok());
      CHECK(out[static_cast<size_t>(m * 64 - 1)] == 16.f);
    }
}
