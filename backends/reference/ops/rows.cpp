// Normalization, reductions, lookups and pools.
#include "backends/reference/ops.h"
#include "support/error.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace linnet::reference {
namespace {

int64_t lastOf(const Tensor &x) { return x.shape.back(); }
int64_t rowsOf(const Tensor &x) { return lastOf(x) ? x.size() / lastOf(x) : 0; }

Result<Tensor> embed(const Tensor &table, const Tensor &ids, const Tensor *scale, const ScaleForm &form) {
  int64_t vocab = table.shape[0], width = table.shape[1], groups = scale ? scale->shape[1] : 0;
  std::vector<int64_t> shape = ids.shape;
  shape.push_back(width);
  Tensor out = Tensor::zeros(scale ? scale->kind : table.kind, shape);
  for (int64_t i = 0; i < ids.size(); ++i) {
    int64_t id = ids.ints()[i];
    if (id < 0 || id >= vocab)
      return errorf("id {} at position {} is outside the table's {} rows", id, i, vocab);
    if (!scale) {
      std::copy_n(table.data() + id * width, width, out.data() + i * width);
      continue;
    }
    for (int64_t c = 0; c < width; ++c) {
      const double integer = table.ints()[id * width + c];
      const int64_t group = form.group ? c / form.group : 0;
      const float *of_row = scale->data() + id * groups;
      const double value = form.asymmetric ? (integer + 8) * of_row[2 * group] + of_row[2 * group + 1]
                                           : integer * of_row[group];
      out.data()[i * width + c] = rounded(out.kind, value);
    }
  }
  return out;
}

Tensor positions(const Tensor *past, const Tensor &ids, int64_t limit) {
  Tensor out = Tensor::zeros(Kind::i32, ids.shape);
  int64_t seq = ids.shape[1];
  for (int64_t b = 0; b < ids.shape[0]; ++b)
    for (int64_t t = 0; t < seq; ++t)
      out.ints()[b * seq + t] =
          static_cast<int32_t>(std::min<int64_t>((past ? past->ints()[b] : 0) + t, limit - 1));
  return out;
}

Tensor layerNorm(const Tensor &x, const Tensor &gain, const Tensor &bias, double epsilon) {
  Tensor out = Tensor::zeros(x.kind, x.shape);
  int64_t n = lastOf(x);
  for (int64_t r = 0; r < rowsOf(x); ++r) {
    const float *in = x.data() + r * n;
    double mean = 0, variance = 0;
    for (int64_t i = 0; i < n; ++i) mean += in[i];
    mean /= static_cast<double>(n);
    for (int64_t i = 0; i < n; ++i) variance += (in[i] - mean) * (in[i] - mean);
    double scale = 1 / std::sqrt(variance / static_cast<double>(n) + epsilon);
    for (int64_t i = 0; i < n; ++i)
      out.data()[r * n + i] = rounded(out.kind, (in[i] - mean) * scale * gain.data()[i] + bias.data()[i]);
  }
  return out;
}

Tensor rmsNorm(const Tensor &x, const Tensor &gain, double epsilon) {
  Tensor out = Tensor::zeros(x.kind, x.shape);
  const int64_t n = lastOf(x);
  for (int64_t first = 0; first < rowsOf(x) * n; first += n) {
    double squares = 0;
    for (int64_t i = 0; i < n; ++i) squares += double(x.data()[first + i]) * x.data()[first + i];
    const double scale = 1 / std::sqrt(squares / static_cast<double>(n) + epsilon);
    for (int64_t i = 0; i < n; ++i)
      out.data()[first + i] = rounded(out.kind, x.data()[first + i] * scale * gain.data()[i]);
  }
  return out;
}

Tensor softmax(const Tensor &x) {
  Tensor out = Tensor::zeros(x.kind, x.shape);
  int64_t n = x.shape.empty() ? 1 : lastOf(x);
  for (int64_t r = 0; n && r < x.size() / n; ++r) {
    const float *in = x.data() + r * n;
    double largest = *std::max_element(in, in + n), total = 0;
    for (int64_t i = 0; i < n; ++i) total += std::exp(in[i] - largest);
    for (int64_t i = 0; i < n; ++i)
      out.data()[r * n + i] = rounded(out.kind, std::exp(in[i] - largest) / total);
  }
  return out;
}

Tensor argmax(const Tensor &x) {
  int64_t n = lastOf(x);
  Tensor out = Tensor::zeros(Kind::i32, {x.shape.begin(), x.shape.end() - 1});
  for (int64_t r = 0; r < rowsOf(x); ++r) {
    const float *in = x.data() + r * n;
    int64_t best = 0; // the result if no element is above -infinity
    float top = -std::numeric_limits<float>::infinity();
    for (int64_t i = 0; i < n; ++i)
      if (in[i] > top) top = in[i], best = i;
    out.ints()[r] = static_cast<int32_t>(best);
  }
  return out;
}

Result<Tensor> pool(ir::PoolMode mode, const Tensor &x, const Tensor &length) {
  int64_t batch = x.shape[0], seq = x.shape[1], width = x.shape[2];
  Tensor out = Tensor::zeros(x.kind, {batch, width});
  for (int64_t b = 0; b < batch; ++b) {
    int64_t n = length.ints()[b];
    if (n < 1 || n > seq) return errorf("length[{}] is {}, expected from 1 to {}", b, n, seq);
    int64_t first = mode == ir::PoolMode::last ? n - 1 : 0, last = mode == ir::PoolMode::first ? 0 : n - 1;
    for (int64_t c = 0; c < width; ++c) {
      double sum = 0;
      for (int64_t t = first; t <= last; ++t) sum += x.data()[(b * seq + t) * width + c];
      out.data()[b * width + c] = rounded(out.kind, sum / static_cast<double>(last - first + 1));
    }
  }
  return out;
}

} // namespace

Tensor reduce(ir::ReduceKind kind, const Tensor &x, int64_t dim) {
  int64_t outer = 1, inner = 1, n = x.shape[dim];
  for (int64_t i = 0; i < dim; ++i) outer *= x.shape[i];
  for (size_t i = dim + 1; i < x.shape.size(); ++i) inner *= x.shape[i];
  std::vector<int64_t> shape = x.shape;
  shape[dim] = 1;
  Tensor out = Tensor::zeros(x.kind, shape);
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t i = 0; i < inner; ++i) {
      double value = kind == ir::ReduceKind::max ? -HUGE_VAL : 0;
      for (int64_t j = 0; j < n; ++j) {
        double element = x.data()[(o * n + j) * inner + i];
        if (kind != ir::ReduceKind::max)
          value += element;
        else if (std::isnan(element) || element > value)
          value = std::isnan(value) ? value : element;
      }
      if (kind == ir::ReduceKind::mean) value /= static_cast<double>(n);
      out.data()[o * inner + i] = rounded(out.kind, value);
    }
  return out;
}

void addRows(OpTable &table) {
  table.add<ir::EmbedOp>([](ir::EmbedOp op, const Inputs &x) {
    const ScaleForm form{static_cast<int64_t>(op.getGroup()), 1, op.getAsymmetric()};
    return embed(x[0], x[1], op.getScale() ? &x[2] : nullptr, form);
  });
  table.add<ir::PositionsOp>([](ir::PositionsOp op, const Inputs &x) {
    return positions(op.getPast() ? &x[0] : nullptr, x.operands.back(), static_cast<int64_t>(op.getLimit()));
  });
  table.add<ir::LayerNormOp>([](ir::LayerNormOp op, const Inputs &x) {
    return layerNorm(x[0], x[1], x[2], op.getEpsilon().convertToFloat());
  });
  table.add<ir::RmsNormOp>([](ir::RmsNormOp op, const Inputs &x) {
    return rmsNorm(x[0], x[1], op.getEpsilon().convertToFloat());
  });
  table.add<ir::SoftmaxOp>([](ir::SoftmaxOp, const Inputs &x) { return softmax(x[0]); });
  table.add<ir::ReduceOp>([](ir::ReduceOp op, const Inputs &x) {
    return reduce(op.getKind(), x[0], static_cast<int64_t>(op.getDim()));
  });
  table.add<ir::ArgmaxOp>([](ir::ArgmaxOp, const Inputs &x) { return argmax(x[0]); });
  table.add<ir::PoolOp>([](ir::PoolOp op, const Inputs &x) { return pool(op.getMode(), x[0], x[1]); });
}

} // namespace linnet::reference
