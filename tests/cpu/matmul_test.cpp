#include "backends/common/pack.h"
#include "tests/catch.h"
#include "tests/cpu/image.h"

#include <cmath>
#include <cstring>
#include <limits>

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
  case Activation::gelu_quick:
    return x / (1 + std::exp(-1.702 * x));
  case Activation::silu:
    return x / (1 + std::exp(-x));
  }
  return x;
}

std::vector<std::byte> packed(const std::vector<float> &plain, const PackedLayout &layout, int64_t k,
                              int64_t n, PackedType type = PackedType::f32) {
  std::vector<std::byte> bytes;
  const auto read = [&](int64_t first, std::span<float> out) -> Result<void> {
    std::memcpy(out.data(), plain.data() + first, out.size_bytes());
    return {};
  };
  const auto take = [&](std::span<const std::byte> piece) -> Result<void> {
    bytes.insert(bytes.end(), piece.begin(), piece.end());
    return {};
  };
  REQUIRE(packPanels(layout, k, n, type, read, take).ok());
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
                          Case{64, 193, 11, true, true, true, Activation::relu},
                          Case{19, 67, 2, true, false, true, Activation::gelu_quick},
                          Case{33, 129, 0, true, true, false, Activation::silu},
                          Case{1536, 70, 3, true, true, false, Activation::gelu_tanh},
                          // Rows of a that share a set of a first-level cache.
                          Case{1024, 70, 0, true, true, false, Activation::none});
  PackedMatmulSpec spec;
  spec.k = c.k, spec.n = c.n, spec.a_stride = c.k + c.gap;
  spec.bias = c.bias, spec.residual = c.residual, spec.activation = c.activation;
  const PackedLayout layout{16, 64, 1, c.transposed};
  const std::vector<float> plain = numbers(c.k * c.n, 2);
  std::vector<std::byte> w = packed(plain, layout, c.k, c.n);
  onEachIsa(packedMatmulKernel(spec), [&](const Isa &isa, Kernel kernel) {
    // One tile, wide ones, tall ones; many rows of w, in slices or blocks, and a row or a few more of a than such
    // a block has.
    const std::vector<int64_t> rows =
        c.k < 1000 ? std::vector<int64_t>{1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 17, 29, 36}
                   : std::vector<int64_t>{2, 13, 31, 133, 265, 268};
    for (int64_t m : rows) {
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
      // A row's bits do not depend on its neighbours.
      std::vector<float> last(c.n);
      const int64_t one = 1;
      void *args[] = {a.data() + (m - 1) * spec.a_stride, w.data(), bias.data(),
                      residual.data() + (m - 1) * c.n, last.data()};
      kernel(&one, args, 0, layout.panels(c.n));
      CHECK(std::memcmp(last.data(), out.data() + (m - 1) * c.n, c.n * 4) == 0);
    }
  });
}

namespace {

/// A weight in panels, its plain elements, and what multiplies it.
struct NarrowMatmul {
  PackedMatmulSpec spec;
  PackedLayout layout;
  PackedType type;
  int64_t stride = 0;   ///< of a before it becomes integers
  bool extreme = false; ///< a and w are as large as they can be: so are sums of integers
  std::vector<float> plain, scale;
  std::vector<std::byte> w, s;

  static void asStored(PackedType type, float &value) {
    std::byte stored[4];
    convert({&value, 1}, type, stored);
    convertBack(type, stored, {&value, 1});
  }
  static float largestOf(std::span<const float> numbers) {
    float largest = 0;
    for (float x : numbers) largest = std::max(largest, std::fabs(x));
    return largest;
  }
  /// A row as IntegerRows says, in groups of `group` (0: the whole row).
  static void toIntegers(std::span<float> row, float limit, int64_t group) {
    const float largest = largestOf(row);
    const size_t size = group ? size_t(group) : row.size();
    for (size_t first = 0; first < row.size(); first += size) {
      const std::span<float> numbers = row.subspan(first, std::min(size, row.size() - first));
      const float of_group = largestOf(numbers);
      int exponent = 0;
      while (exponent < kMostInt8Exponent && std::ldexp(of_group, exponent + 1) <= largest) ++exponent;
      const float factor = largest == 0 ? 0 : std::ldexp(limit / largest, exponent);
      const float step = std::ldexp(largest / limit, -exponent);
      for (float &x : numbers) {
        const float exact = x;
        x = std::nearbyint(x * factor) * step;
        CHECK(std::fabs(x - exact) <= 0.52f * step);
      }
      if (exponent < kMostInt8Exponent) CHECK(step <= 2 * of_group / limit * 1.000001f);
    }
  }
  double weightAt(int64_t k, int64_t n) const {
    const bool t = layout.transposed;
    const double value = plain[t ? n * spec.k + k : k * spec.n + n];
    const int64_t g = spec.group ? k / spec.group : 0;
    auto scaleAt = [&](int64_t row) { return scale[t ? n * spec.scaleRows() + row : row * spec.n + n]; };
    if (spec.asymmetric) return (value + 8) * scaleAt(2 * g) + scaleAt(2 * g + 1);
    return spec.scaled() ? value * scaleAt(g) : value;
  }

  void draw() {
    layout.interleave = spec.interleave();
    const int64_t k = spec.k, n = spec.n;
    plain = numbers(k * n, 2), scale = numbers(spec.scaleRows() * n, 6);
    const double most = spec.w == Type::i4 ? 7 : 127;
    for (float &value : plain) {
      if (spec.scaled()) value = float(std::clamp(std::nearbyint(value * most), -most - (most < 8), most));
      if (extreme) value = spec.asymmetric ? float(most) : float(-most - 1);
      asStored(type, value);
    }
    w = packed(plain, layout, k, n, type);
    s = packed(scale, PackedLayout{1, 64, 1, layout.transposed}, spec.scaleRows(), n);
    CHECK(unpackPanels(layout, k, n, type, w) == plain);
    stride = spec.a_stride;
    if (spec.scaled()) spec.a_stride = spec.integerRows().bytes() / 4;
  }
  std::vector<KernelSource> kernels() const {
    return {integerRowsKernel(spec.integerRows(), Extent::symbol(0), stride), packedMatmulKernel(spec)};
  }

  void check(int64_t m, Kernel to_integers, Kernel kernel) {
    std::vector<float> a = numbers(m * stride, 3), bias = numbers(spec.n, 4),
                       residual = numbers(m * spec.n, 5), out(m * spec.n);
    if (extreme) std::fill(a.begin(), a.end(), 1.0f);
    if (m > 2) std::fill_n(a.begin(), stride, 0.0f); // a row without a largest element
    if (m > 1)                                       // groups of all magnitudes
      for (int64_t i = 0; i < spec.k; ++i) a[stride + i] = std::ldexp(a[stride + i], int(-i / 16 % 20));
    const bool narrow = spec.a == Type::bf16;
    if (narrow)
      for (float &value : a) asStored(PackedType::bf16, value);
    std::vector<std::byte> stored(narrow ? a.size() * 2 : 0);
    std::vector<float> counted = a;
    const bool bytes = spec.int8_rows && m >= spec.int8_rows;
    if (spec.scaled())
      for (int64_t i = 0; i < m; ++i)
        toIntegers(std::span(counted).subspan(size_t(i * stride), size_t(spec.k)), bytes ? 127 : 32512,
                   bytes ? spec.int8_group : 0);
    std::vector<double> expected(out.size());
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < spec.n; ++j) {
        double sum = 0;
        for (int64_t k = 0; k < spec.k; ++k) sum += double(counted[i * stride + k]) * weightAt(k, j);
        expected[i * spec.n + j] = activated(spec.activation, sum + bias[j]) + residual[i * spec.n + j];
      }
    std::vector<float> rows(spec.scaled() ? m * spec.a_stride : 0, 1e30f);
    if (spec.scaled()) call(to_integers, {m}, {a.data(), rows.data()}, m, rows);
    if (narrow) convert(a, PackedType::bf16, stored.data());
    char *lhs = narrow          ? reinterpret_cast<char *>(stored.data())
                : spec.scaled() ? reinterpret_cast<char *>(rows.data())
                                : reinterpret_cast<char *>(a.data());
    const int64_t panels = layout.panels(spec.n);
    call(kernel, {m}, {lhs, w.data(), bias.data(), residual.data(), out.data(), s.data()}, panels, out);
    CHECK(relativeError(out, expected) < 2e-6);
    // A row's bits do not depend on its neighbours.
    const int64_t fewest = bytes ? spec.int8_rows : 1, first = m - fewest;
    std::vector<float> last(size_t(fewest * spec.n));
    void *args[] = {lhs + first * spec.a_stride * (narrow ? 2 : 4),
                    w.data(),
                    bias.data(),
                    residual.data() + first * spec.n,
                    last.data(),
                    s.data()};
    kernel(&fewest, args, 0, panels);
    CHECK(std::memcmp(last.data(), out.data() + first * spec.n, last.size() * 4) == 0);
  }

  void checkEachIsa(const std::vector<int64_t> &rows) {
    const std::vector<KernelSource> sources = kernels();
    for (const Isa &isa : runnableIsas()) {
      auto images = buildImages(sources, {&isa, 1});
      REQUIRE(images.ok());
      const Image image(images->front());
      for (int64_t m : rows) {
        INFO(isa.name << " m " << m);
        check(m, image.get(sources[0].name), image.get(sources[1].name));
      }
    }
  }
};

} // namespace

TEST_CASE("packed matmul with integer and 16-bit weights, in groups and without") {
  struct Case {
    Type type;
    PackedType packed;
    int64_t k, n, group, gap;
    bool transposed, round = false;
    int64_t int8_rows = 0;
    bool asymmetric = false;
    int64_t int8_group = 0;
  };
  const Case c = GENERATE(Case{Type::i8, PackedType::i8, 17, 65, 0, 0, false, false, 1, false, 32},
                          Case{Type::i8, PackedType::i8, 70, 67, 0, 3, true, false, 2, false, 32},
                          Case{Type::i8, PackedType::i8, 135, 66, 32, 0, true, false, 1, false, 32},
                          Case{Type::i8, PackedType::i8, 100, 66, 48, 1, false, false, 1, false, 16},
                          Case{Type::i8, PackedType::i8, 54, 3, 20, 0, false, false, 2, false, 4},
                          Case{Type::i8, PackedType::i8, 1101, 65, 0, 0, false, false, 1, false, 128},
                          Case{Type::i8, PackedType::i8, 1100, 66, 96, 1, false, false, 8, false, 32},
                          Case{Type::i4, PackedType::i4, 97, 66, 32, 0, false, false, 5, false, 32},
                          Case{Type::i4, PackedType::i4, 33, 65, 0, 1, true, false, 1, false, 32},
                          Case{Type::i4, PackedType::i4, 90, 67, 24, 0, true, false, 1, false, 8},
                          Case{Type::i4, PackedType::i4, 97, 66, 32, 2, false, false, 1, true, 32},
                          Case{Type::i4, PackedType::i4, 1107, 65, 32, 0, true, false, 2, true, 32},
                          Case{Type::i4, PackedType::i4, 2100, 5, 280, 0, true, false, 1, true, 56},
                          Case{Type::i4, PackedType::i4, 2100, 3, 0, 0, false, false, 1, false, 256},
                          Case{Type::i8, PackedType::i8, 17, 65, 0, 0, false},
                          Case{Type::i8, PackedType::i8, 70, 127, 32, 3, true},
                          Case{Type::i8, PackedType::i8, 256, 64, 0, 0, true},
                          Case{Type::i8, PackedType::i8, 19, 67, 0, 2, false, false, 5},
                          Case{Type::i8, PackedType::i8, 130, 65, 32, 0, true, false, 1},
                          Case{Type::i4, PackedType::i4, 97, 66, 32, 0, false, false, 5},
                          Case{Type::i4, PackedType::i4, 33, 65, 32, 1, false},
                          Case{Type::i4, PackedType::i4, 96, 64, 32, 0, true},
                          Case{Type::i4, PackedType::i4, 31, 130, 0, 0, true},
                          Case{Type::i4, PackedType::i4, 5, 3, 8, 0, false},
                          Case{Type::i4, PackedType::i4, 97, 66, 32, 0, false, false, 5, true},
                          Case{Type::i4, PackedType::i4, 33, 65, 32, 1, true, false, 0, true},
                          Case{Type::i4, PackedType::i4, 24, 67, 32, 0, true, false, 3, true},
                          Case{Type::i4, PackedType::i4, 5, 3, 8, 0, false, false, 0, true},
                          Case{Type::bf16, PackedType::bf16, 31, 67, 0, 0, false},
                          Case{Type::bf16, PackedType::bf16, 31, 67, 0, 2, false, true},
                          Case{Type::bf16, PackedType::bf16, 80, 130, 0, 0, true, true},
                          Case{Type::f16, PackedType::f16, 19, 65, 0, 0, true},
                          // More rows of w than a block has, than an integer sums up, than a group.
                          Case{Type::i8, PackedType::i8, 1101, 65, 0, 0, false, false, 8},
                          Case{Type::i8, PackedType::i8, 1100, 66, 96, 1, false, false, 8},
                          Case{Type::i8, PackedType::i8, 1300, 3, 600, 0, true, false, 8},
                          Case{Type::i4, PackedType::i4, 1107, 65, 32, 0, false, false, 8},
                          Case{Type::i4, PackedType::i4, 2100, 5, 280, 0, true, false, 8},
                          Case{Type::i4, PackedType::i4, 2100, 3, 0, 0, false, false, 8},
                          Case{Type::i4, PackedType::i4, 1107, 65, 32, 0, true, false, 8, true},
                          Case{Type::i4, PackedType::i4, 2100, 5, 280, 0, true, false, 8, true},
                          Case{Type::bf16, PackedType::bf16, 531, 65, 0, 1, false, true},
                          Case{Type::bf16, PackedType::bf16, 531, 66, 0, 0, true},
                          Case{Type::f16, PackedType::f16, 530, 65, 0, 3, false});
  NarrowMatmul matmul;
  PackedMatmulSpec &spec = matmul.spec;
  spec.k = c.k, spec.n = c.n, spec.a_stride = c.k + c.gap, spec.w = c.type, spec.group = c.group;
  spec.bias = spec.residual = true;
  spec.activation = Activation::gelu_tanh;
  if (c.round) spec.a = Type::bf16;
  spec.int8_rows = c.int8_rows, spec.asymmetric = c.asymmetric, spec.int8_group = c.int8_group;
  matmul.type = c.packed, matmul.layout.transposed = c.transposed;
  matmul.draw();
  CAPTURE(c.k, c.n, c.group, int(c.type), c.round, c.int8_rows, c.int8_group);
  matmul.checkEachIsa(c.k < 500 ? std::vector<int64_t>{1, 2, 3, 4, 5, 6, 8, 13, 29}
                                : std::vector<int64_t>{1, 2, 7, 9, 133});
}

TEST_CASE("the largest sums of integers are exact") {
  const auto [type, packed, group, asymmetric, int8_group] = GENERATE(
      table<Type, PackedType, int64_t, bool, int64_t>({{Type::i8, PackedType::i8, 0, false, 0},
                                                       {Type::i8, PackedType::i8, 0, false, kMostInt8Group},
                                                       {Type::i8, PackedType::i8, 0, false, 24},
                                                       {Type::i8, PackedType::i8, 1536, false, 0},
                                                       {Type::i8, PackedType::i8, 1536, false, 192},
                                                       {Type::i4, PackedType::i4, 0, false, 0},
                                                       {Type::i4, PackedType::i4, 0, false, 32},
                                                       {Type::i4, PackedType::i4, 32, false, 0},
                                                       {Type::i4, PackedType::i4, 256, false, kMostInt8Group},
                                                       {Type::i4, PackedType::i4, 512, false, 0},
                                                       {Type::i4, PackedType::i4, 32, true, 32},
                                                       {Type::i4, PackedType::i4, 256, true, 0},
                                                       {Type::i4, PackedType::i4, 256, true, kMostInt8Group},
                                                       {Type::i4, PackedType::i4, 512, true, 0}}));
  NarrowMatmul matmul{.type = packed, .extreme = true};
  matmul.spec = {.k = 4000, .n = 2, .a_stride = 4000, .w = type, .group = group, .int8_rows = 8};
  matmul.spec.bias = matmul.spec.residual = true;
  matmul.spec.asymmetric = asymmetric, matmul.spec.int8_group = int8_group;
  matmul.draw();
  CAPTURE(int(type), group, asymmetric, int8_group);
  matmul.checkEachIsa({1, 2, 5, 9});
}

TEST_CASE("rows with NaN or an infinity are NaN, rows of tiny numbers keep their digits") {
  const auto [type, packed, group, asymmetric, int8_group] =
      GENERATE(table<Type, PackedType, int64_t, bool, int64_t>({{Type::i8, PackedType::i8, 0, false, 0},
                                                                {Type::i8, PackedType::i8, 0, false, 32},
                                                                {Type::i8, PackedType::i8, 32, false, 32},
                                                                {Type::i4, PackedType::i4, 32, false, 0},
                                                                {Type::i4, PackedType::i4, 32, false, 32},
                                                                {Type::i4, PackedType::i4, 32, true, 32}}));
  constexpr int64_t k = 70, n = 66, rows = 4;
  NarrowMatmul matmul{.type = packed};
  matmul.spec = {.k = k, .n = n, .a_stride = k, .w = type, .group = group, .int8_rows = 1};
  matmul.spec.asymmetric = asymmetric, matmul.spec.int8_group = int8_group;
  matmul.draw();
  CAPTURE(int(type), group, asymmetric, int8_group);
  const std::vector<KernelSource> sources = matmul.kernels();
  const std::vector<float> row = numbers(k, 3);
  std::vector<float> a;
  for (float scale : {1.0f, 1.0f, 1.0f, 0x1p-110f})
    for (float x : row) a.push_back(x * scale);
  a[k + 37] = -std::numeric_limits<float>::infinity();
  a[2 * k + 5] = std::numeric_limits<float>::quiet_NaN();
  for (const Isa &isa : runnableIsas()) {
    auto images = buildImages(sources, {&isa, 1});
    REQUIRE(images.ok());
    const Image image(images->front());
    INFO(isa.name);
    std::vector<float> integers(rows * matmul.spec.a_stride), out(rows * n);
    call(image.get(sources[0].name), {rows}, {a.data(), integers.data()}, rows, integers);
    call(image.get(sources[1].name), {rows},
         {integers.data(), matmul.w.data(), nullptr, nullptr, out.data(), matmul.s.data()},
         matmul.layout.panels(n), out);
    for (int64_t j = 0; j < n; ++j) {
      CHECK(std::isfinite(out[j]));
      CHECK(std::isnan(out[n + j]));
      CHECK(std::isnan(out[2 * n + j]));
      CHECK(std::fabs(out[3 * n + j] * 0x1p110f - out[j]) <= 1e-5f * std::fabs(out[j]));
    }
  }
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
