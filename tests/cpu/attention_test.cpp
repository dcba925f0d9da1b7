#include "tests/catch.h"
#include "tests/cpu/image.h"

#include <bit>
#include <cmath>
#include <cstring>

using namespace linnet::cpu;
using namespace linnet::cpu::testing;

namespace {

struct Sizes {
  int64_t batch, queries, heads, size, capacity, gap;
  std::vector<int32_t> past, length; ///< empty: not given
  bool causal;
  Type cache = Type::f32;
  int64_t bf16_rows = 0;
  int64_t group = 1, window = 0;
  float cap = 0;
  bool rounds() const { return bf16_rows && queries >= bf16_rows; }
  int64_t keyHeads() const { return heads / group; }
  /// The first key that query i of sequence b sees.
  int64_t begin(int64_t b, int64_t i) const {
    return window ? std::max<int64_t>((past.empty() ? 0 : past[b]) + i + 1 - window, 0) : 0;
  }
  /// Keys of sequence b that some query sees.
  int64_t end(int64_t b) const {
    const int64_t before = past.empty() ? 0 : past[b];
    return std::min(capacity, before + (length.empty() ? queries : std::min<int64_t>(queries, length[b])));
  }
};

struct Tensors {
  std::vector<float> q, k, v;
};

float nearestBfloat(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  return std::bit_cast<float>((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000);
}

std::vector<double> exact(const Sizes &s, const Tensors &t, float scale) {
  auto factor = [&](float x) { return double(s.rounds() ? nearestBfloat(x) : x); };
  std::vector<double> out(s.batch * s.queries * s.heads * s.size);
  for (int64_t b = 0; b < s.batch; ++b)
    for (int64_t i = 0; i < s.queries; ++i)
      for (int64_t h = 0; h < s.heads; ++h) {
        const int64_t past = s.past.empty() ? 0 : s.past[b];
        const int64_t seen = std::min(s.end(b), past + (s.causal ? i + 1 : s.queries));
        const float *q = t.q.data() + (b * s.queries + i) * (s.heads * s.size + s.gap) + h * s.size;
        const int64_t cached = (b * s.keyHeads() + h / s.group) * s.capacity * s.size;
        const float *k = t.k.data() + cached, *v = t.v.data() + cached;
        std::vector<double> weight(std::max<int64_t>(seen, 0));
        double largest = -INFINITY, sum = 0;
        for (int64_t j = s.begin(b, i); j < seen; ++j) {
          for (int64_t d = 0; d < s.size; ++d) weight[j] += factor(q[d] * scale) * factor(k[j * s.size + d]);
          if (s.cap > 0) weight[j] = s.cap * std::tanh(weight[j] / s.cap);
          largest = std::max(largest, weight[j]);
        }
        for (int64_t j = s.begin(b, i); j < seen; ++j)
          sum += weight[j] = factor(float(std::exp(weight[j] - largest)));
        for (int64_t j = s.begin(b, i); j < seen; ++j)
          for (int64_t d = 0; d < s.size; ++d)
            out[((b * s.queries + i) * s.heads + h) * s.size + d] +=
                weight[j] / sum * factor(v[j * s.size + d]);
      }
  return out;
}

uint16_t halfOf(uint32_t bits) { // of a number that f16 can hold exactly, or NaN
  if ((bits & 0x7fffffff) > 0x7f800000) return 0x7e00;
  const float scaled = std::fabs(std::bit_cast<float>(bits));
  const uint16_t sign = uint16_t(bits >> 16 & 0x8000);
  if (scaled < std::ldexp(1.0f, -14)) return uint16_t(sign | uint16_t(std::ldexp(scaled, 24)));
  return uint16_t(sign | ((bits & 0x7fffffff) - (112u << 23)) >> 13);
}

/// The tensors with a cache rounded to its type, and that cache as the kernel reads it.
struct Stored {
  Tensors rounded;
  std::vector<std::byte> k, v;
};

Stored stored(Type type, const Tensors &t, const std::vector<bool> &readable) {
  Stored result{t, {}, {}};
  auto store = [&](std::vector<float> &values, std::vector<std::byte> &bytes) {
    bytes.resize(values.size() * size_t(sizeOf(type)));
    for (size_t i = 0; i < values.size(); ++i) {
      uint32_t bits = std::bit_cast<uint32_t>(readable[i] ? values[i] : NAN);
      if (type == Type::bf16) bits &= 0xffff0000;
      if (type == Type::f16 && readable[i]) bits &= 0xffffe000;
      if (readable[i]) values[i] = std::bit_cast<float>(bits);
      if (type == Type::f32) std::memcpy(&bytes[4 * i], &bits, 4);
      const uint16_t half = type == Type::bf16 ? uint16_t(bits >> 16) : halfOf(bits);
      if (type != Type::f32) std::memcpy(&bytes[2 * i], &half, 2);
    }
  };
  store(result.rounded.k, result.k), store(result.rounded.v, result.v);
  return result;
}

AttentionSpec specOf(const Sizes &s, Type cache) {
  AttentionSpec spec;
  spec.queries = Extent::symbol(0), spec.heads = s.heads, spec.capacity = Extent::symbol(1),
  spec.head_size = s.size;
  spec.q_stride = s.heads * s.size + s.gap;
  spec.scale = 0.7f, spec.causal = s.causal, spec.past = !s.past.empty(), spec.length = !s.length.empty();
  spec.cache = cache, spec.bf16_rows = s.bf16_rows;
  spec.key_group = s.group, spec.window = s.window, spec.cap = s.cap;
  return spec;
}

} // namespace

// Sizes around a vector, a block of queries (twice a vector) and a block of keys (64).
TEST_CASE("attention over a cache") {
  const Sizes s =
      GENERATE(Sizes{1, 1, 1, 1, 1, 0, {}, {}, true}, Sizes{2, 5, 3, 7, 40, 0, {0, 17}, {}, true},
               Sizes{1, 37, 2, 64, 64, 128, {13}, {}, true}, Sizes{2, 1, 2, 64, 150, 0, {149, 31}, {}, true},
               Sizes{1, 6, 2, 20, 21, 5, {3}, {}, false}, Sizes{1, 9, 1, 129, 9, 0, {}, {}, true},
               Sizes{2, 67, 2, 20, 211, 0, {130, 61}, {}, true},
               Sizes{3, 33, 1, 5, 100, 0, {64, 0, 31}, {33, 1, 20}, true},
               Sizes{2, 18, 1, 16, 70, 3, {40, 0}, {7, 18}, false},
               Sizes{3, 1, 3, 19, 80, 0, {5, 0, 79}, {1, 0, 1}, true},
               Sizes{2, 67, 2, 20, 211, 0, {130, 61}, {}, true, Type::bf16},
               Sizes{2, 1, 2, 19, 150, 0, {149, 31}, {}, true, Type::bf16},
               Sizes{3, 33, 1, 5, 100, 0, {64, 0, 31}, {33, 1, 20}, true, Type::f16},
               Sizes{3, 1, 3, 19, 80, 0, {5, 0, 79}, {1, 0, 1}, true, Type::f16},
               Sizes{1, 37, 2, 64, 200, 0, {130}, {}, true, Type::f32, 2},
               Sizes{2, 67, 2, 20, 211, 0, {130, 61}, {}, true, Type::f16, 2},
               Sizes{2, 67, 1, 64, 211, 7, {130, 61}, {67, 3}, true, Type::bf16, 2},
               Sizes{1, 40, 2, 5, 150, 0, {100}, {}, true, Type::f32, 2},
               Sizes{2, 7, 1, 18, 70, 0, {40, 0}, {7, 5}, false, Type::f16, 8},
               Sizes{2, 8, 1, 18, 170, 0, {140, 64}, {}, true, Type::f16, 8},
               Sizes{2, 1, 2, 16, 90, 0, {70, 0}, {}, true, Type::f16, 1},
               // heads that share keys
               Sizes{2, 5, 6, 40, 40, 0, {0, 17}, {}, true, Type::f32, 0, 3},
               Sizes{2, 1, 6, 40, 150, 3, {149, 31}, {}, true, Type::bf16, 0, 3},
               Sizes{1, 37, 4, 64, 200, 0, {130}, {}, true, Type::bf16, 2, 4},
               // windows: of one key, inside a block, over several blocks, wider than the cache
               Sizes{3, 1, 2, 20, 150, 0, {149, 31, 0}, {}, true, Type::f32, 0, 1, 1},
               Sizes{3, 1, 4, 19, 150, 0, {149, 31, 0}, {}, true, Type::f16, 0, 2, 23},
               Sizes{2, 67, 2, 20, 211, 0, {130, 61}, {}, true, Type::f32, 0, 1, 1},
               Sizes{2, 67, 6, 20, 211, 0, {130, 0}, {}, true, Type::bf16, 0, 3, 3},
               Sizes{3, 33, 1, 5, 100, 0, {64, 0, 31}, {33, 1, 20}, true, Type::f32, 0, 1, 3},
               Sizes{2, 67, 2, 20, 411, 0, {330, 61}, {}, true, Type::f32, 0, 2, 200},
               Sizes{2, 67, 2, 20, 211, 0, {200, 61}, {}, true, Type::f16, 0, 1, 9},
               Sizes{1, 37, 2, 64, 200, 0, {130}, {}, true, Type::f32, 2, 2, 11},
               Sizes{1, 37, 1, 64, 400, 0, {300}, {}, true, Type::bf16, 2, 1, 170},
               Sizes{2, 9, 3, 8, 40, 0, {20, 0}, {}, true, Type::f32, 0, 3, 1000},
               // caps
               Sizes{2, 1, 2, 20, 90, 0, {70, 0}, {}, true, Type::f32, 0, 2, 0, 0.5f},
               Sizes{2, 67, 2, 20, 211, 0, {130, 61}, {}, true, Type::f16, 0, 1, 0, 2.0f},
               Sizes{1, 37, 6, 40, 200, 0, {130}, {}, true, Type::bf16, 2, 3, 50, 1.5f},
               Sizes{2, 18, 1, 16, 70, 3, {40, 0}, {7, 18}, false, Type::f32, 0, 1, 0, 30.0f});
  const Type cache = s.cache;
  Tensors t{numbers(s.batch * s.queries * (s.heads * s.size + s.gap), 1),
            numbers(s.batch * s.keyHeads() * s.capacity * s.size, 2),
            numbers(s.batch * s.keyHeads() * s.capacity * s.size, 3)};
  if (s.rounds() && !s.window) { // the first key's score is the largest: weights are rounded against no other
    for (float &x : t.q) x = std::fabs(x);
    for (int64_t i = 0; i < s.batch * s.keyHeads(); ++i)
      std::fill_n(t.k.begin() + i * s.capacity * s.size, s.size, 1.0f);
  }
  // Values that no query of the sequence sees must not be read: they are NaN.
  std::vector<bool> readable(t.k.size());
  for (int64_t b = 0; b < s.batch; ++b)
    for (int64_t h = 0; h < s.keyHeads(); ++h)
      for (int64_t j = s.begin(b, 0); j < s.end(b); ++j)
        for (int64_t d = 0; d < s.size; ++d)
          readable[((b * s.keyHeads() + h) * s.capacity + j) * s.size + d] = true;
  Stored given = stored(cache, t, readable);
  const AttentionSpec spec = specOf(s, cache);
  const std::vector<double> expected = exact(s, given.rounded, spec.scale);
  onEachIsa(kernelOf(spec).source, [&](const Isa &isa, Kernel kernel) {
    INFO(isa.name << " T " << s.queries << " D " << s.size << " cache " << nameOf(cache));
    std::vector<float> out(expected.size());
    std::vector<int32_t> past = s.past, length = s.length;
    std::vector<void *> args = {given.rounded.q.data(), given.k.data(), given.v.data(), out.data()};
    if (spec.past) args.push_back(past.data());
    if (spec.length) args.push_back(length.data());
    call(kernel, {s.queries, s.capacity}, args, s.batch * s.heads * s.queries, out);
    // An exponential's last bit may decide how a weight is rounded. In a window the largest score may be a later
    // block's, so that the weights before it were rounded against another one.
    CHECK(relativeError(out, expected) < (!s.rounds() ? 2e-6 : s.window ? 4e-3 : 1e-4));
  });
}

TEST_CASE("a query's result does not depend on the queries behind it") {
  const int64_t capacity = 90, size = 24;
  std::vector<int32_t> past = {20};
  std::vector<float> q = numbers(60 * size, 1), k = numbers(capacity * size, 2),
                     v = numbers(capacity * size, 3);
  onEachIsa(kernelOf(specOf({1, 60, 1, size, capacity, 0, past, {}, true}, Type::f32)).source,
            [&](const Isa &isa, Kernel kernel) {
              INFO(isa.name);
              std::vector<float> all(60 * size);
              void *args[] = {q.data(), k.data(), v.data(), all.data(), past.data()};
              const int64_t dims[] = {60, capacity};
              kernel(dims, args, 0, 60);
              for (int64_t queries : {2, 15, 17, 33, 59}) {
                std::vector<float> some(queries * size);
                const int64_t fewer[] = {queries, capacity};
                args[int(AttentionSpec::Operand::out)] = some.data();
                kernel(fewer, args, 0, queries);
                CHECK(std::equal(some.begin(), some.end(), all.begin()));
              }
            });
}

TEST_CASE("a query's result does not depend on where its call begins") {
  const int64_t capacity = 300, size = 24, all_queries = 290;
  const Type cache = GENERATE(Type::f32, Type::f16, Type::bf16);
  const int64_t bf16_rows = GENERATE(0, 2);
  const int64_t window = GENERATE(0, 5, 64, 100);
  CAPTURE(nameOf(cache), bf16_rows, window);
  const Sizes s{1, all_queries, 1, size, capacity, 0, {0}, {}, true, cache, bf16_rows, 1, window};
  const Tensors t{numbers(all_queries * size, 1), numbers(capacity * size, 2), numbers(capacity * size, 3)};
  Stored given = stored(cache, t, std::vector<bool>(t.k.size(), true));
  onEachIsa(kernelOf(specOf(s, cache)).source, [&](const Isa &isa, Kernel kernel) {
    INFO(isa.name);
    auto run = [&](int64_t first, int64_t queries) {
      std::vector<float> out(queries * size);
      std::vector<int32_t> past = {int32_t(first)};
      void *args[] = {given.rounded.q.data() + first * size, given.k.data(), given.v.data(), out.data(),
                      past.data()};
      const int64_t dims[] = {queries, capacity};
      kernel(dims, args, 0, queries);
      return out;
    };
    const std::vector<float> all = run(0, all_queries);
    for (auto [first, queries] : {std::pair<int64_t, int64_t>{1, 289},
                                  {7, 2},
                                  {63, 40},
                                  {64, 33},
                                  {70, 131},
                                  {129, 3},
                                  {130, 160},
                                  {191, 70},
                                  {288, 2}}) {
      CAPTURE(first, queries);
      const std::vector<float> some = run(first, queries);
      CHECK(std::equal(some.begin(), some.end(), all.begin() + first * size));
    }
  });
}

TEST_CASE("a later query's NaN stays out of an earlier query's result") {
  AttentionSpec spec;
  spec.queries = 4, spec.heads = 1, spec.capacity = 20, spec.head_size = 8, spec.q_stride = 8,
  spec.past = false;
  std::vector<float> q = numbers(4 * 8, 1), k = numbers(20 * 8, 2), v = numbers(20 * 8, 3);
  for (int64_t d = 0; d < 8; ++d) k[3 * 8 + d] = v[3 * 8 + d] = NAN;
  onEachIsa(kernelOf(spec).source, [&](const Isa &isa, Kernel kernel) {
    std::vector<float> out(4 * 8);
    const int64_t dims[] = {0};
    void *args[] = {q.data(), k.data(), v.data(), out.data()};
    kernel(dims, args, 0, 4);
    for (int i = 0; i < 3 * 8; ++i) CHECK(std::isfinite(out[i]));
    for (int i = 3 * 8; i < 4 * 8; ++i) CHECK(std::isnan(out[i]));
  });
}

TEST_CASE("an empty range gives zeros") {
  AttentionSpec spec;
  spec.queries = 1, spec.heads = 1, spec.capacity = 3, spec.head_size = 5, spec.q_stride = 5,
  spec.causal = false;
  std::vector<float> q = numbers(5), k = numbers(15), v = numbers(15);
  std::vector<int32_t> past = {-1};
  onEachIsa(kernelOf(spec).source, [&](const Isa &isa, Kernel kernel) {
    std::vector<float> out(5, 7.0f);
    const int64_t dims[] = {0};
    void *args[] = {q.data(), k.data(), v.data(), out.data(), past.data()};
    kernel(dims, args, 0, 1);
    CHECK(out == std::vector<float>(5, 0.0f));
  });
}
