#include "backends/common/pack.h"
#include "tests/catch.h"
#include "tests/cpu/image.h"

#include <cmath>
#include <cstring>

using namespace linnet;
using namespace linnet::cpu;
using namespace linnet::cpu::testing;

namespace {

double activated(Activation activation, double x) {
  switch (activation) {
  case Activation::none:
    return x;
  case Activation::relu:
    return std::max(x, 0.0);
  case Activation::gelu_erf:
    return x / 2 * (1 + std::erf(x / std::sqrt(2.0)));
  case Activation::gelu_tanh:
    return x / 2 * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
  }
  return x;
}

std::vector<std::byte> packed(const std::vector<float> &plain, const PackedLayout &layout, int64_t k,
                              int64_t n) {
  std::vector<std::byte> bytes;
  const auto read = [&](int64_t first, std::span<float> out) -> Result<void> {
    std::memcpy(out.data(), plain.data() + first, out.size_bytes());
    return {};
  };
  const auto take = [&](std::span<const std::byte> piece) -> Result<void> {
    bytes.insert(bytes.end(), piece.begin(), piece.end());
    return {};
  };
  REQUIRE(packPanels(layout, k, n, PackedType::f32, read, take).ok());
  return bytes;
}

} // namespace

TEST_CASE("packed matmul with every epilogue and any number of rows") {
  struct Case {
    int64_t k, n, gap;
    bool bias, residual, transposed;
    Activation activation;
  };
  const Case c = GENERATE(Case{1, 1, 0, false, false, false, Activation::none},
                          Case{17, 65, 0, true, false, false, Activation::gelu_tanh},
                          Case{48, 64, 3, true, true, false, Activation::none},
                          Case{31, 127, 0, false, true, true, Activation::gelu_erf},
                          Case{64, 193, 11, true, true, true, Activation::relu});
  PackedMatmulSpec spec;
  spec.k = c.k, spec.n = c.n, spec.a_stride = c.k + c.gap;
  spec.bias = c.bias, spec.residual = c.residual, spec.activation = c.activation;
  const PackedLayout layout{16, 64, 1, c.transposed};
  const std::vector<float> plain = numbers(c.k * c.n, 2);
  std::vector<std::byte> w = packed(plain, layout, c.k, c.n);
  onEachIsa(packedMatmulKernel(spec), [&](const Isa &isa, Kernel kernel) {
    for (int64_t m : {1, 2, 3, 4, 5, 6, 7, 13, 29}) {
      INFO(isa.name << " m " << m << " k " << c.k << " n " << c.n);
      std::vector<float> a = numbers(m * spec.a_stride, 3), bias = numbers(c.n, 4),
                         residual = numbers(m * c.n, 5), out(m * c.n);
      std::vector<double> expected(out.size());
      for (int64_t i = 0; i < m; ++i)
        for (int64_t j = 0; j < c.n; ++j) {
          double sum = 0;
          for (int64_t k = 0; k < c.k; ++k)
            sum += double(a[i * spec.a_stride + k]) * plain[c.transposed ? j * c.k + k : k * c.n + j];
          expected[i * c.n + j] = activated(c.activation, sum + (c.bias ? bias[j] : 0)) +
                                  (c.residual ? residual[i * c.n + j] : 0);
        }
      call(kernel, {m}, {a.data(), w.data(), bias.data(), residual.data(), out.data()}, layout.panels(c.n),
           out);
      CHECK(relativeError(out, expected) < 2e-6);
      // A row's bits do not depend on the rows beside it.
      std::vector<float> last(c.n);
      const int64_t one = 1;
      void *args[] = {a.data() + (m - 1) * spec.a_stride, w.data(), bias.data(),
                      residual.data() + (m - 1) * c.n, last.data()};
      kernel(&one, args, 0, layout.panels(c.n));
      CHECK(std::memcmp(last.data(), out.data() + (m - 1) * c.n, c.n * 4) == 0);
    }
  });
}

TEST_CASE("plain matmul in every orientation") {
  const bool ta = GENERATE(false, true), tw = GENERATE(false, true), shared = GENERATE(false, true);
  for (const auto &[m, k, n] : {std::array<int64_t, 3>{1, 1, 1}, {5, 7, 3}, {7, 33, 67}, {3, 130, 129}}) {
    const int64_t groups = 3;
    MatmulSpec spec;
    spec.m = Extent::symbol(0), spec.k = k, spec.n = n == 67 ? Extent::symbol(1) : Extent(n);
    spec.transpose_a = ta, spec.transpose_w = tw, spec.shared_w = shared, spec.bias = spec.residual = m != 5;
    spec.activation = m == 7 ? Activation::gelu_tanh : Activation::none;
    std::vector<float> a = numbers(groups * m * k, 1), w = numbers(groups * k * n, 2), bias = numbers(n, 3),
                       residual = numbers(groups * m * n, 4);
    std::vector<double> expected(groups * m * n);
    for (int64_t g = 0; g < groups; ++g)
      for (int64_t i = 0; i < m; ++i)
        for (int64_t j = 0; j < n; ++j) {
          double sum = 0;
          for (int64_t kk = 0; kk < k; ++kk)
            sum += double(a[g * m * k + (ta ? kk * m + i : i * k + kk)]) *
                   w[(shared ? 0 : g * k * n) + (tw ? j * k + kk : kk * n + j)];
          const size_t at = (g * m + i) * n + j;
          expected[at] = activated(spec.activation, sum + (spec.bias ? bias[j] : 0)) +
                         (spec.residual ? residual[at] : 0);
        }
    onEachIsa(matmulKernel(spec), [&](const Isa &isa, Kernel kernel) {
      INFO(isa.name << " " << ta << tw << shared << " " << m << " " << k << " " << n);
      std::vector<float> out(expected.size());
      call(kernel, {m, n}, {a.data(), w.data(), bias.data(), residual.data(), out.data()},
           groups * m * columnBlocks(spec), out);
      CHECK(relativeError(out, expected) < 2e-6);
    });
  }
}
