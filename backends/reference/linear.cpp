// matmul, attention, cache_append.
#include "backends/common/scalar.h"
#include "backends/reference/kernels.h"
#include "backends/reference/scalar_double.h"
#include "support/error.h"

#include <algorithm>
#include <cmath>

namespace linnet::reference {

// lhs (L..., M, K), rhs (K, N) shared or (L..., K, N); either stored transposed.
Result<Tensor> matmul(ir::MatmulOp op, const Tensor &lhs, const Tensor &rhs, const Tensor *bias,
                      const Tensor *residual) {
  size_t lrank = lhs.shape.size(), rrank = rhs.shape.size();
  bool tl = op.getTransposeLhs(), tr = op.getTransposeRhs();
  int64_t k = tl ? lhs.shape[lrank - 2] : lhs.shape[lrank - 1];
  int64_t rows_k = tr ? rhs.shape[rrank - 1] : rhs.shape[rrank - 2],
          n = tr ? rhs.shape[rrank - 2] : rhs.shape[rrank - 1];
  if (k != rows_k) return errorf("K differs: {} and {}", k, rows_k);
  std::vector<int64_t> shape = lhs.shape;
  if (tl) std::swap(shape[lrank - 1], shape[lrank - 2]);
  int64_t m = lrank == 1 ? 1 : shape[lrank - 2];
  shape.back() = n;
  int64_t batches = 1;
  for (size_t i = 0; i + 2 < lrank; ++i) batches *= lhs.shape[i];
  Tensor out = Tensor::zeros(lhs.kind, shape);
  DoubleScalars scalars;
  std::vector<double> row(static_cast<size_t>(n));
  for (int64_t b = 0; b < batches; ++b) {
    const float *l = lhs.data() + b * m * k, *r = rhs.data() + (rrank > 2 ? b * k * n : 0);
    float *o = out.data() + b * m * n;
    for (int64_t i = 0; i < m; ++i) {
      std::fill(row.begin(), row.end(), 0.0);
      if (tr) {
        for (int64_t j = 0; j < n; ++j)
          for (int64_t p = 0; p < k; ++p) row[j] += double(tl ? l[p * m + i] : l[i * k + p]) * r[j * k + p];
      } else {
        for (int64_t p = 0; p < k; ++p) {
          double x = tl ? l[p * m + i] : l[i * k + p];
          for (int64_t j = 0; j < n; ++j) row[j] += x * r[p * n + j];
        }
      }
      for (int64_t j = 0; j < n; ++j) {
        double value = row[j] + (bias ? bias->data()[j] : 0.0f);
        value = emitActivation(op.getActivation(), scalars, value);
        if (residual) value += residual->data()[(b * m + i) * n + j];
        o[i * n + j] = rounded(out.kind, value);
      }
    }
  }
  return out;
}

// q (B, T, H, D), k and v (B, H, S, D) -> (B, T, H, D)
Result<Tensor> attention(const Tensor &q, const Tensor &k, const Tensor &v, const Tensor *past, double scale,
                         bool causal) {
  int64_t batch = q.shape[0], seq = q.shape[1], heads = q.shape[2], d = q.shape[3], capacity = k.shape[2];
  Tensor out = Tensor::zeros(q.kind, q.shape);
  std::vector<double> scores(static_cast<size_t>(capacity)), sum(static_cast<size_t>(d));
  for (int64_t b = 0; b < batch; ++b) {
    int64_t before = past ? past->ints()[b] : 0;
    if (before < 0) return errorf("past[{}] is {}", b, before);
    for (int64_t t = 0; t < seq; ++t) {
      // Padding behind a short sequence may look beyond the cache: there is nothing to see.
      int64_t n = std::min(capacity, causal ? before + t + 1 : before + seq);
      for (int64_t h = 0; h < heads; ++h) {
        const float *x = q.data() + ((b * seq + t) * heads + h) * d;
        const float *keys = k.data() + (b * heads + h) * capacity * d,
                    *values = v.data() + (b * heads + h) * capacity * d;
        double largest = -HUGE_VAL, total = 0;
        for (int64_t j = 0; j < n; ++j) {
          double dot = 0;
          for (int64_t i = 0; i < d; ++i) dot += double(x[i]) * keys[j * d + i];
          scores[j] = scale * dot;
          largest = std::max(largest, scores[j]);
        }
        std::fill(sum.begin(), sum.end(), 0.0);
        for (int64_t j = 0; j < n; ++j) {
          double weight = std::exp(scores[j] - largest);
          total += weight;
          for (int64_t i = 0; i < d; ++i) sum[i] += weight * values[j * d + i];
        }
        float *o = out.data() + ((b * seq + t) * heads + h) * d;
        for (int64_t i = 0; i < d; ++i) o[i] = rounded(out.kind, n > 0 ? sum[i] / total : 0.0);
      }
    }
  }
  return out;
}

// cache (B, H, S, D), entries (B, T, H, D)
Result<Tensor> cacheAppend(const Tensor &cache, const Tensor &entries, const Tensor &past) {
  int64_t batch = cache.shape[0], heads = cache.shape[1], capacity = cache.shape[2], d = cache.shape[3];
  int64_t seq = entries.shape[1];
  Tensor out = cache;
  out.floats = std::make_shared<std::vector<float>>(*cache.floats);
  for (int64_t b = 0; b < batch; ++b) {
    int64_t before = past.ints()[b];
    if (before < 0) return errorf("past[{}] is {}", b, before);
    for (int64_t t = 0; t < seq && before + t < capacity; ++t)
      for (int64_t h = 0; h < heads; ++h)
        std::copy_n(entries.data() + ((b * seq + t) * heads + h) * d, d,
                    out.data() + ((b * heads + h) * capacity + before + t) * d);
  }
  return out;
}

} // namespace linnet::reference
