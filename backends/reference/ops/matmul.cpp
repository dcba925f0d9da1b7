// matmul and quantization.
#include "backends/common/specs/matmul.h"
#include "backends/common/scalar.h"
#include "backends/reference/ops.h"
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

// lhs (L..., M, K), rhs (K, N) shared or (L..., K, N); either stored transposed.
Result<Tensor> matmul(ir::MatmulOp op, const Inputs &x) {
  Optionals optional(x, 2);
  const Tensor *bias = optional.take(op.getBias()), *residual = optional.take(op.getResidual()),
               *scale = optional.take(op.getScale());
  const int64_t int8_rows = static_cast<int64_t>(op.getInt8Rows());
  const bool rounds = int8_rows && x[0].size() >= int8_rows * x[0].shape.back();
  const Tensor lhs = rounds ? roundedRows(x[0], static_cast<int64_t>(op.getInt8Group())) : x[0];
  const ScaleForm form{static_cast<int64_t>(op.getGroup()), op.getTransposeRhs() ? 1 : 0, op.getAsymmetric()};
  const Tensor rhs = scale ? scaled(x[1], *scale, form) : x[1];
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

} // namespace

double int8Step(double largest_of_row, double largest_of_group) {
  constexpr double kSteps = 127;
  double step = largest_of_row / kSteps;
  for (int64_t e = 0; e < backend::kMostInt8Exponent && 2 * largest_of_group <= largest_of_row; ++e)
    step /= 2, largest_of_group *= 2;
  return step;
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

void addMatmul(OpTable &table) {
  table.add<ir::MatmulOp>(matmul);
  table.add<ir::QuantizeScaleOp>([](ir::QuantizeScaleOp op, const Inputs &x) {
    return quantizeScale(x[0], static_cast<int64_t>(op.getBits()), formOf(op));
  });
  table.add<ir::QuantizeOp>([](ir::QuantizeOp op, const Inputs &x) {
    return quantize(x[0], x[1], static_cast<int64_t>(op.getBits()), formOf(op));
  });
}

} // namespace linnet::reference
