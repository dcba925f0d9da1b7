#include "tests/catch.h"
#include "tests/cpu/image.h"

#include <cmath>
#include <cstring>

using namespace linnet::cpu;
using namespace linnet::cpu::testing;

namespace {

struct Sizes {
  int64_t batch, queries, heads, size, capacity, gap;
  std::vector<int32_t> past;
  bool causal;
};

struct Tensors {
  std::vector<float> q, k, v;
};

std::vector<double> exact(const Sizes &s, const Tensors &t, double scale) {
  std::vector<double> out(s.batch * s.queries * s.heads * s.size);
  for (int64_t b = 0; b < s.batch; ++b)
    for (int64_t i = 0; i < s.queries; ++i)
      for (int64_t h = 0; h < s.heads; ++h) {
        const int64_t past = s.past.empty() ? 0 : s.past[b];
        const int64_t seen = std::min(s.capacity, past + (s.causal ? i + 1 : s.queries));
        const float *q = t.q.data() + (b * s.queries + i) * (s.heads * s.size + s.gap) + h * s.size;
        const float *k = t.k.data() + (b * s.heads + h) * s.capacity * s.size,
                    *v = t.v.data() + (b * s.heads + h) * s.capacity * s.size;
        std::vector<double> weight(seen);
        double largest = -INFINITY, sum = 0;
        for (int64_t j = 0; j < seen; ++j) {
          for (int64_t d = 0; d < s.size; ++d) weight[j] += double(q[d]) * k[j * s.size + d];
          weight[j] *= scale, largest = std::max(largest, weight[j]);
        }
        for (double &w : weight) sum += w = std::exp(w - largest);
        for (int64_t j = 0; j < seen; ++j)
          for (int64_t d = 0; d < s.size; ++d)
            out[((b * s.queries + i) * s.heads + h) * s.size + d] += weight[j] / sum * v[j * s.size + d];
      }
  return out;
}

} // namespace

TEST_CASE("attention over a cache") {
  const Sizes s =
      GENERATE(Sizes{1, 1, 1, 1, 1, 0, {}, true}, Sizes{2, 5, 3, 7, 40, 0, {0, 17}, true},
               Sizes{1, 37, 2, 64, 64, 128, {13}, true}, Sizes{2, 1, 2, 64, 50, 0, {49, 31}, true},
               Sizes{1, 6, 2, 20, 21, 5, {3}, false}, Sizes{1, 9, 1, 129, 9, 0, {}, true});
  AttentionSpec spec;
  spec.queries = Extent::symbol(0), spec.heads = s.heads, spec.capacity = Extent::symbol(1),
  spec.head_size = s.size;
  spec.q_stride = s.heads * s.size + s.gap;
  spec.scale = 0.7f, spec.causal = s.causal, spec.past = !s.past.empty();
  const Tensors t{numbers(s.batch * s.queries * (s.heads * s.size + s.gap), 1),
                  numbers(s.batch * s.heads * s.capacity * s.size, 2),
                  numbers(s.batch * s.heads * s.capacity * s.size, 3)};
  const std::vector<double> expected = exact(s, t, spec.scale);
  // What lies behind each sequence's end must not be read: it is NaN.
  Tensors given = t;
  for (int64_t b = 0; b < s.batch; ++b)
    for (int64_t h = 0; h < s.heads; ++h)
      for (int64_t j = (s.past.empty() ? 0 : s.past[b]) + s.queries; j < s.capacity; ++j)
        for (int64_t d = 0; d < s.size; ++d)
          given.k[((b * s.heads + h) * s.capacity + j) * s.size + d] =
              given.v[((b * s.heads + h) * s.capacity + j) * s.size + d] = NAN;
  onEachIsa(attentionKernel(spec), [&](const Isa &isa, Kernel kernel) {
    INFO(isa.name << " T " << s.queries << " D " << s.size);
    std::vector<float> out(expected.size());
    std::vector<int32_t> past = s.past;
    call(kernel, {s.queries, s.capacity},
         {given.q.data(), given.k.data(), given.v.data(), past.data(), out.data()},
         s.batch * s.heads * s.queries, out);
    CHECK(relativeError(out, expected) < 2e-6);
  });
}

TEST_CASE("a later query's NaN stays out of an earlier query's result") {
  AttentionSpec spec;
  spec.queries = 4, spec.heads = 1, spec.capacity = 20, spec.head_size = 8, spec.q_stride = 8,
  spec.past = false;
  std::vector<float> q = numbers(4 * 8, 1), k = numbers(20 * 8, 2), v = numbers(20 * 8, 3);
  for (int64_t d = 0; d < 8; ++d) k[3 * 8 + d] = v[3 * 8 + d] = NAN;
  onEachIsa(attentionKernel(spec), [&](const Isa &isa, Kernel kernel) {
    std::vector<float> out(4 * 8);
    const int64_t dims[] = {0};
    void *args[] = {q.data(), k.data(), v.data(), nullptr, out.data()};
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
  onEachIsa(attentionKernel(spec), [&](const Isa &isa, Kernel kernel) {
    std::vector<float> out(5, 7.0f);
    const int64_t dims[] = {0};
    void *args[] = {q.data(), k.data(), v.data(), past.data(), out.data()};
    kernel(dims, args, 0, 1);
    CHECK(out == std::vector<float>(5, 0.0f));
  });
}
