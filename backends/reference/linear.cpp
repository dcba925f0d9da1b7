// matmul, quantization, attention, cache_append.
#include "backends/common/scalar.h"
#include "backends/common/specs/matmul.h"
#include "backends/reference/kernels.h"
#include "backends/reference/scalar_double.h"
#include "support/error.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace linnet::reference {
namespace {

/// Calls f(element, where its group's scale lies) for each element of a matrix, in the order of memory. A group's
/// minimum lies minimumAfter() elements after its scale.
template <class F> void forGroups(const Tensor &x, const ScaleForm &form, F f) {
  const int64_t rows = x.shape[0], columns = x.shape[1],
                size = std::max<int64_t>(form.group ? form.group : x.shape[form.dim], 1);
  const int64_t groups = (x.shape[form.dim] + size - 1) / size, entries = form.asymmetric ? 2 : 1;
  for (int64_t r = 0; r < rows; ++r)
    if (form.dim == 0) {
      const int64_t group_row = r / size * entries * columns;
      for (int64_t c = 0; c < columns; ++c) f(r * columns + c, group_row + c);
    } else {
      for (int64_t g = 0; g < groups; ++g)
        for (int64_t c = g * size; c < std::min(columns, (g + 1) * size); ++c)
          f(r * columns + c, (r * groups + g) * entries);
    }
}
int64_t minimumAfter(const Tensor &x, const ScaleForm &form) { return form.dim == 0 ? x.shape[1] : 1; }

/// A matrix of integers times its scale, as floats.
Tensor scaled(const Tensor &x, const Tensor &scale, const ScaleForm &form) {
  Tensor out = Tensor::zeros(Kind::f32, x.shape);
  const int32_t *integers = x.ints();
  const float *scales = scale.data();
  float *values = out.data();
  const int64_t minimum = minimumAfter(x, form);
  forGroups(x, form, [&](int64_t i, int64_t g) {
    const double value = form.asymmetric ? double(integers[i] + 8) * scales[g] + scales[g + minimum]
                                         : double(integers[i]) * scales[g];
    values[i] = static_cast<float>(value);
  });
  return out;
}

double largestMagnitude(const float *x, int64_t count) {
  double most = 0;
  for (int64_t i = 0; i < count; ++i) most = std::max(most, std::abs(double(x[i])));
  return most;
}

/// Rows along the last dimension, rounded to 8 bits in groups of `group` elements (0: the whole row).
Tensor roundedRows(const Tensor &x, int64_t group) {
  Tensor out = x;
  const int64_t k = x.shape.back(), size = group ? group : k;
  for (int64_t row = 0; row < x.size(); row += k) {
    const double of_row = largestMagnitude(x.data() + row, k);
    for (int64_t first = row; first < row + k; first += size) {
      const int64_t end = std::min(first + size, row + k);
      const double s = int8Step(of_row, largestMagnitude(x.data() + first, end - first));
      for (int64_t i = first; i < end; ++i) {
        const double q = s == 0 ? 0 : std::nearbyint(x.data()[i] / s);
        out.data()[i] = static_cast<float>(s * q);
      }
    }
  }
  return out;
}

/// sums[j] = the sum over p < k of a[p * stride] * rows[j * k + p].
void sumsOfRows(const float *a, int64_t stride, const float *rows, int64_t k, std::vector<double> &sums) {
  constexpr size_t kTogether = 8; // one addition of a sum waits for the one before
  size_t j = 0;
  for (; j + kTogether <= sums.size(); j += kTogether, rows += kTogether * k) {
    double together[kTogether] = {};
    for (int64_t p = 0; p < k; ++p) {
      const double x = a[p * stride];
      for (size_t s = 0; s < kTogether; ++s) together[s] += x * rows[s * k + p];
    }
    std::copy_n(together, kTogether, sums.begin() + j);
  }
  for (; j < sums.size(); ++j, rows += k)
    for (int64_t p = 0; p < k; ++p) sums[j] += double(a[p * stride]) * rows[p];
}

} // namespace

double int8Step(double largest_of_row, double largest_of_group) {
  constexpr double kSteps = 127;
  double step = largest_of_row / kSteps;
  for (int64_t e = 0; e < backend::kMostInt8Exponent && 2 * largest_of_group <= largest_of_row; ++e)
    step /= 2, largest_of_group *= 2;
  return step;
}

// lhs (L..., M, K), rhs (K, N) shared or (L..., K, N); either stored transposed.
Result<Tensor> matmul(ir::MatmulOp op, const MatmulOperands &operands) {
  const Tensor *bias = operands.bias, *residual = operands.residual;
  const int64_t int8_rows = static_cast<int64_t>(op.getInt8Rows());
  const bool rounds = int8_rows && operands.lhs.size() >= int8_rows * operands.lhs.shape.back();
  const Tensor lhs =
      rounds ? roundedRows(operands.lhs, static_cast<int64_t>(op.getInt8Group())) : operands.lhs;
  const ScaleForm form{static_cast<int64_t>(op.getGroup()), op.getTransposeRhs() ? 1 : 0, op.getAsymmetric()};
  const Tensor rhs = operands.scale ? scaled(operands.rhs, *operands.scale, form) : operands.rhs;
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
  Tensor out = Tensor::zeros(op.getWide() ? Kind::f32 : lhs.kind, shape);
  DoubleScalars scalars;
  std::vector<double> row(static_cast<size_t>(n));
  for (int64_t b = 0; b < batches; ++b) {
    const float *l = lhs.data() + b * m * k, *r = rhs.data() + (rrank > 2 ? b * k * n : 0);
    float *o = out.data() + b * m * n;
    for (int64_t i = 0; i < m; ++i) {
      std::fill(row.begin(), row.end(), 0.0);
      if (tr) {
        sumsOfRows(tl ? l + i : l + i * k, tl ? m : 1, r, k, row);
      } else {
        for (int64_t p = 0; p < k; ++p) {
          double x = tl ? l[p * m + i] : l[i * k + p];
          for (int64_t j = 0; j < n; ++j) row[j] += x * r[p * n + j];
        }
      }
      for (int64_t j = 0; j < n; ++j) {
        double value = row[j] + (bias ? bias->data()[j] : 0.0f);
        value = emitActivation(scalars, backend::Activation(uint32_t(op.getActivation())), value);
        if (residual) value += residual->data()[(b * m + i) * n + j];
        o[i * n + j] = rounded(out.kind, value);
      }
    }
  }
  return out;
}

Tensor quantizeScale(const Tensor &x, int64_t bits, const ScaleForm &form) {
  const auto [group, dim, asymmetric] = form;
  std::vector<int64_t> shape = x.shape;
  shape[dim] = (group ? (shape[dim] + group - 1) / group : 1) * (asymmetric ? 2 : 1);
  Tensor out = Tensor::zeros(x.kind, shape);
  const float *values = x.data();
  float *scales = out.data();
  if (asymmetric) {
    const int64_t minimum = minimumAfter(x, form);
    constexpr float kNone = std::numeric_limits<float>::infinity();
    std::vector<float> smallest(static_cast<size_t>(out.size()), kNone), largest(smallest.size(), -kNone);
    forGroups(x, form, [&](int64_t i, int64_t g) {
      largest[g] = std::max(largest[g], values[i]);
      smallest[g] = std::min(smallest[g], values[i]);
    });
    for (int64_t g = 0; g < out.size(); ++g) {
      if (largest[g] < smallest[g]) continue; // the place of a minimum
      scales[g] = rounded(out.kind, (double(largest[g]) - smallest[g]) / 15);
      scales[g + minimum] = smallest[g];
    }
    return out;
  }
  // The first of equal magnitudes counts, so that the sign of a scale of 4 bits is defined.
  forGroups(x, form, [&](int64_t i, int64_t g) {
    scales[g] = std::fabs(values[i]) > std::fabs(scales[g]) ? values[i] : scales[g];
  });
  for (int64_t g = 0; g < out.size(); ++g) {
    const double largest = scales[g];
    scales[g] = rounded(out.kind, bits == 4 ? largest / -8 : std::fabs(largest) / 127);
  }
  return out;
}

Tensor quantize(const Tensor &x, const Tensor &scale, int64_t bits, const ScaleForm &form) {
  Tensor out = Tensor::zeros(bits == 4 ? Kind::i4 : Kind::i8, x.shape);
  const double low = bits == 4 ? -8 : -127, high = bits == 4 ? 7 : 127;
  const float *values = x.data(), *scales = scale.data();
  int32_t *integers = out.ints();
  const int64_t minimum = minimumAfter(x, form);
  forGroups(x, form, [&](int64_t i, int64_t g) {
    const double s = scales[g], x = form.asymmetric ? double(values[i]) - scales[g + minimum] : values[i];
    const double q = (s == 0 ? 0 : std::nearbyint(x / s)) - (form.asymmetric ? 8 : 0);
    integers[i] = static_cast<int32_t>(std::clamp(q, low, high));
  });
  return out;
}

Result<Sight::Keys> Sight::keys(int64_t b, int64_t t, int64_t seq, int64_t capacity) const {
  int64_t before = past ? past->ints()[b] : 0;
  if (before < 0) return errorf("past[{}] is {}", b, before);
  int64_t n = causal ? before + t + 1 : before + seq;
  if (length) n = std::min(n, before + std::max<int64_t>(length->ints()[b], 0));
  const int64_t end = std::min(capacity, n); // padding after a short sequence may look beyond the cache
  const int64_t begin = window ? std::max<int64_t>(before + t + 1 - window, 0) : 0;
  return Keys{std::min(begin, end), end};
}

// scores (B, H, T, S)
Result<Tensor> mask(const Tensor &scores, const Sight &sight) {
  int64_t batch = scores.shape[0], heads = scores.shape[1], seq = scores.shape[2], capacity = scores.shape[3];
  Tensor out = scores;
  out.floats = std::make_shared<std::vector<float>>(*scores.floats);
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t t = 0; t < seq; ++t) {
      LINNET_ASSIGN(const Sight::Keys seen, sight.keys(b, t, seq, capacity));
      for (int64_t h = 0; h < heads; ++h) {
        float *row = out.data() + ((b * heads + h) * seq + t) * capacity;
        constexpr float kMasked = -std::numeric_limits<float>::infinity();
        std::fill(row, row + seen.begin, kMasked);
        std::fill(row + seen.end, row + capacity, kMasked);
      }
    }
  return out;
}

// q (B, T, H, D), k and v (B, G, S, D) -> (B, T, H, D)
Result<Tensor> attention(const Tensor &q, const Tensor &k, const Tensor &v, const Scores &scoring,
                         const Sight &sight, int64_t bf16_rows) {
  int64_t batch = q.shape[0], seq = q.shape[1], heads = q.shape[2], d = q.shape[3], capacity = k.shape[2];
  const int64_t key_heads = k.shape[1], group = key_heads ? heads / key_heads : 1;
  Tensor out = Tensor::zeros(q.kind, q.shape);
  const bool rounds = bf16_rows && seq >= bf16_rows;
  auto factor = [&](double x) { return rounds ? double(rounded(Kind::bf16, x)) : x; };
  std::vector<double> scores(static_cast<size_t>(capacity)), sum(static_cast<size_t>(d));
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t t = 0; t < seq; ++t) {
      LINNET_ASSIGN(const Sight::Keys seen, sight.keys(b, t, seq, capacity));
      for (int64_t h = 0; h < heads; ++h) {
        const float *x = q.data() + ((b * seq + t) * heads + h) * d;
        const int64_t cached = (b * key_heads + h / group) * capacity * d;
        const float *keys = k.data() + cached, *values = v.data() + cached;
        double largest = -HUGE_VAL, total = 0;
        for (int64_t j = seen.begin; j < seen.end; ++j) {
          double dot = 0;
          for (int64_t i = 0; i < d; ++i) dot += factor(scoring.scale * x[i]) * factor(keys[j * d + i]);
          scores[j] = scoring.capped(dot);
          largest = std::max(largest, scores[j]);
        }
        std::fill(sum.begin(), sum.end(), 0.0);
        for (int64_t j = seen.begin; j < seen.end; ++j) {
          double weight = factor(std::exp(scores[j] - largest));
          total += weight;
          for (int64_t i = 0; i < d; ++i) sum[i] += weight * factor(values[j * d + i]);
        }
        float *o = out.data() + ((b * seq + t) * heads + h) * d;
        for (int64_t i = 0; i < d; ++i)
          o[i] = rounded(out.kind, seen.begin < seen.end ? sum[i] / total : 0.0);
      }
    }
  }
  return out;
}

// cache (B, H, S, D), entries (B, T, H, D), rounded to the cache's type
Result<Tensor> cacheAppend(const Tensor &cache, const Tensor &entries, const Tensor &past) {
  int64_t batch = cache.shape[0], heads = cache.shape[1], capacity = cache.shape[2], d = cache.shape[3];
  int64_t seq = entries.shape[1];
  Tensor out = cache;
  out.floats = std::make_shared<std::vector<float>>(*cache.floats);
  for (int64_t b = 0; b < batch; ++b) {
    int64_t before = past.ints()[b];
    if (before < 0) return errorf("past[{}] is {}", b, before);
    for (int64_t t = 0; t < seq && before + t < capacity; ++t)
      for (int64_t h = 0; h < heads; ++h) {
        const float *from = entries.data() + ((b * seq + t) * heads + h) * d;
        std::transform(from, from + d, out.data() + ((b * heads + h) * capacity + before + t) * d,
                       [&](float x) { return rounded(cache.kind, x); });
      }
  }
  return out;
}

} // namespace linnet::reference
