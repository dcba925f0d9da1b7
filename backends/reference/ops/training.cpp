// Ops of training: loss, accumulators, gradients, optimizer step.
#include "backends/reference/ops.h"
#include "runtime/philox.h"
#include "support/error.h"

#include <algorithm>
#include <cmath>

namespace linnet::reference {
namespace {

Tensor copyOf(const Tensor &x) {
  Tensor out = x;
  out.floats = std::make_shared<std::vector<float>>(*x.floats);
  return out;
}

/// ln sum_j e^x[j]
double logSumExp(const float *x, int64_t n) {
  double largest = *std::max_element(x, x + n), total = 0;
  for (int64_t j = 0; j < n; ++j) total += std::exp(x[j] - largest);
  return largest + std::log(total);
}

Result<void> checkLabel(int64_t label, int64_t i, int64_t n) {
  if (label < n) return {};
  return errorf("label {} at position {} is outside the {} columns of logits", label, i, n);
}

Result<Tensor> crossEntropy(const Tensor &logits, const Tensor &labels) {
  int64_t n = logits.shape.back();
  Tensor out = Tensor::zeros(logits.kind, labels.shape);
  for (int64_t i = 0; i < labels.size(); ++i) {
    int64_t label = labels.ints()[i];
    LINNET_TRY(checkLabel(label, i, n));
    const float *x = logits.data() + i * n;
    if (label >= 0) out.data()[i] = rounded(out.kind, logSumExp(x, n) - x[label]);
  }
  return out;
}

Result<Tensor> crossEntropyGrad(const Tensor &logits, const Tensor &labels, const Tensor &gradient) {
  int64_t n = logits.shape.back();
  Tensor out = Tensor::zeros(logits.kind, logits.shape);
  for (int64_t i = 0; i < labels.size(); ++i) {
    int64_t label = labels.ints()[i];
    LINNET_TRY(checkLabel(label, i, n));
    if (label < 0) continue;
    const float *x = logits.data() + i * n;
    double total = logSumExp(x, n);
    for (int64_t j = 0; j < n; ++j)
      out.data()[i * n + j] =
          rounded(out.kind, gradient.data()[i] * (std::exp(x[j] - total) - (j == label ? 1 : 0)));
  }
  return out;
}

Tensor dropout(const Tensor &x, const Tensor &key, float rate, uint32_t stream) {
  Tensor out = Tensor::zeros(x.kind, x.shape);
  const PhiloxKey words = {static_cast<uint32_t>(key.ints()[0]), static_cast<uint32_t>(key.ints()[1])};
  for (int64_t i = 0; i < x.size(); ++i) {
    const auto at = static_cast<uint64_t>(i);
    const uint32_t drawn = philox4x32({uint32_t(at), uint32_t(at >> 32), stream, 0}, words)[0] >> 8;
    if (drawn * 0x1p-24 >= double(rate)) out.data()[i] = rounded(out.kind, x.data()[i] / (1 - double(rate)));
  }
  return out;
}

Tensor contract(const Tensor &accumulator, const Tensor &lhs, const Tensor &rhs) {
  int64_t k = accumulator.shape[0], n = accumulator.shape[1], rows = k ? lhs.size() / k : 0;
  std::vector<double> sum(accumulator.floats->begin(), accumulator.floats->end());
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t p = 0; p < k; ++p) {
      double x = lhs.data()[i * k + p];
      for (int64_t j = 0; j < n; ++j) sum[p * n + j] += x * rhs.data()[i * n + j];
    }
  Tensor out = Tensor::zeros(accumulator.kind, accumulator.shape);
  std::transform(sum.begin(), sum.end(), out.data(), [&](double x) { return rounded(out.kind, x); });
  return out;
}

Tensor sumRows(const Tensor &accumulator, const Tensor &x) {
  int64_t n = accumulator.shape[0];
  Tensor out = Tensor::zeros(accumulator.kind, accumulator.shape);
  for (int64_t j = 0; j < n; ++j) {
    double sum = accumulator.data()[j];
    for (int64_t i = j; i < x.size(); i += n) sum += x.data()[i];
    out.data()[j] = rounded(out.kind, sum);
  }
  return out;
}

Result<Tensor> scatterAdd(const Tensor &table, const Tensor &ids, const Tensor &rows) {
  int64_t vocab = table.shape[0], width = table.shape[1];
  std::vector<double> sum(table.floats->begin(), table.floats->end());
  for (int64_t i = 0; i < ids.size(); ++i) {
    int64_t id = ids.ints()[i];
    if (id < 0 || id >= vocab)
      return errorf("id {} at position {} is outside the table's {} rows", id, i, vocab);
    for (int64_t c = 0; c < width; ++c) sum[id * width + c] += rows.data()[i * width + c];
  }
  Tensor out = Tensor::zeros(table.kind, table.shape);
  std::transform(sum.begin(), sum.end(), out.data(), [&](double x) { return rounded(out.kind, x); });
  return out;
}

Tensor layerNormGrad(const Tensor &x, const Tensor &gain, const Tensor &gradient, double epsilon) {
  Tensor out = Tensor::zeros(x.kind, x.shape);
  int64_t n = x.shape.back();
  auto count = static_cast<double>(n);
  for (int64_t r = 0; n && r < x.size() / n; ++r) {
    const float *in = x.data() + r * n, *dy = gradient.data() + r * n;
    double mean = 0, variance = 0, mean_g = 0, mean_gy = 0;
    for (int64_t i = 0; i < n; ++i) mean += in[i];
    mean /= count;
    for (int64_t i = 0; i < n; ++i) variance += (in[i] - mean) * (in[i] - mean);
    double scale = 1 / std::sqrt(variance / count + epsilon);
    for (int64_t i = 0; i < n; ++i) {
      double g = double(dy[i]) * gain.data()[i];
      mean_g += g / count;
      mean_gy += g * (in[i] - mean) * scale / count;
    }
    for (int64_t i = 0; i < n; ++i) {
      double g = double(dy[i]) * gain.data()[i];
      out.data()[r * n + i] = rounded(out.kind, (g - mean_g - (in[i] - mean) * scale * mean_gy) * scale);
    }
  }
  return out;
}

struct AttentionGradOperands {
  const Tensor &q, &k, &v, &gradient;
};
// Shapes: q, gradient (B, T, H, D); k, v (B, G, S, D).
Result<std::vector<Tensor>> attentionGrad(const AttentionGradOperands &x, const Scores &scoring,
                                          const Sight &sight) {
  int64_t batch = x.q.shape[0], seq = x.q.shape[1], heads = x.q.shape[2], d = x.q.shape[3];
  int64_t key_heads = x.k.shape[1], capacity = x.k.shape[2], group = key_heads ? heads / key_heads : 1;
  auto at = static_cast<size_t>(capacity * d);
  Tensor dq = Tensor::zeros(x.q.kind, x.q.shape), dk = Tensor::zeros(x.k.kind, x.k.shape),
         dv = Tensor::zeros(x.v.kind, x.v.shape);
  const auto keys_of_row = static_cast<size_t>(capacity);
  std::vector<double> s(keys_of_row), p(keys_of_row), e(keys_of_row);
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t g = 0; g < key_heads; ++g) {
      const int64_t cached = (b * key_heads + g) * capacity * d;
      const float *keys = x.k.data() + cached, *values = x.v.data() + cached;
      std::vector<double> key_sums(at), value_sums(at);
      for (int64_t of_group = 0; of_group < group * seq; ++of_group) {
        const int64_t h = g * group + of_group / seq, t = of_group % seq;
        LINNET_ASSIGN(const Sight::Keys seen, sight.keys(b, t, seq, capacity));
        int64_t row = ((b * seq + t) * heads + h) * d;
        const float *query = x.q.data() + row, *dy = x.gradient.data() + row;
        double largest = -HUGE_VAL, total = 0, mean = 0;
        for (int64_t j = seen.begin; j < seen.end; ++j) {
          double dot = 0;
          for (int64_t i = 0; i < d; ++i) dot += double(query[i]) * keys[j * d + i];
          s[j] = p[j] = scoring.capped(scoring.scale * dot);
          largest = std::max(largest, p[j]);
        }
        for (int64_t j = seen.begin; j < seen.end; ++j) total += p[j] = std::exp(p[j] - largest);
        for (int64_t j = seen.begin; j < seen.end; ++j) {
          p[j] /= total;
          e[j] = 0;
          for (int64_t i = 0; i < d; ++i) e[j] += double(dy[i]) * values[j * d + i];
          mean += p[j] * e[j];
        }
        std::vector<double> query_sum(static_cast<size_t>(d));
        for (int64_t j = seen.begin; j < seen.end; ++j) {
          const double ds = scoring.scale * scoring.slope(s[j]) * p[j] * (e[j] - mean);
          for (int64_t i = 0; i < d; ++i) {
            query_sum[i] += ds * keys[j * d + i];
            key_sums[j * d + i] += ds * query[i];
            value_sums[j * d + i] += p[j] * dy[i];
          }
        }
        for (int64_t i = 0; i < d; ++i) dq.data()[row + i] = rounded(dq.kind, query_sum[i]);
      }
      for (size_t i = 0; i < at; ++i) {
        dk.data()[cached + static_cast<int64_t>(i)] = rounded(dk.kind, key_sums[i]);
        dv.data()[cached + static_cast<int64_t>(i)] = rounded(dv.kind, value_sums[i]);
      }
    }
  return std::vector<Tensor>{dq, dk, dv};
}

Result<Tensor> poolGrad(ir::PoolMode mode, const Tensor &gradient, const Tensor &length, const Tensor &like) {
  int64_t batch = like.shape[0], seq = like.shape[1], width = like.shape[2];
  Tensor out = Tensor::zeros(like.kind, like.shape);
  for (int64_t b = 0; b < batch; ++b) {
    int64_t n = length.ints()[b];
    if (n < 1 || n > seq) return errorf("length[{}] is {}, expected from 1 to {}", b, n, seq);
    int64_t first = mode == ir::PoolMode::last ? n - 1 : 0, last = mode == ir::PoolMode::first ? 0 : n - 1;
    for (int64_t t = first; t <= last; ++t)
      for (int64_t c = 0; c < width; ++c)
        out.data()[(b * seq + t) * width + c] =
            rounded(out.kind, gradient.data()[b * width + c] / static_cast<double>(last - first + 1));
  }
  return out;
}

// The operands x are param, gradient, m, v, lr, scale, m_scale, v_scale, start.
std::vector<Tensor> adamw(ir::AdamWOp op, const Inputs &x) {
  auto number = [](const llvm::APFloat &value) { return double(value.convertToFloat()); };
  double beta1 = number(op.getBeta1()), beta2 = number(op.getBeta2()), epsilon = number(op.getEpsilon()),
         decay = number(op.getDecay()), pull = number(op.getPull());
  double lr = x[4].data()[0] * number(op.getLrScale()), scale = x[5].data()[0], m_scale = x[6].data()[0],
         v_scale = x[7].data()[0];
  std::vector<Tensor> out = {copyOf(x[0]), Tensor::zeros(x[0].kind, x[0].shape), copyOf(x[2]), copyOf(x[3])};
  for (int64_t i = 0; i < x[0].size(); ++i) {
    double p = x[0].data()[i];
    double g = x[1].data()[i] * scale + (op.getStart() ? pull * (p - x[8].data()[i]) : 0);
    double m = beta1 * x[2].data()[i] + (1 - beta1) * g, v = beta2 * x[3].data()[i] + (1 - beta2) * g * g;
    out[0].data()[i] =
        rounded(x[0].kind, p - lr * (m * m_scale / (std::sqrt(v * v_scale) + epsilon) + decay * p));
    out[2].data()[i] = rounded(x[0].kind, m);
    out[3].data()[i] = rounded(x[0].kind, v);
  }
  return out;
}

} // namespace

void addTraining(OpTable &table) {
  table.add<ir::CrossEntropyOp>([](ir::CrossEntropyOp, const Inputs &x) { return crossEntropy(x[0], x[1]); });
  table.add<ir::CrossEntropyGradOp>(
      [](ir::CrossEntropyGradOp, const Inputs &x) { return crossEntropyGrad(x[0], x[1], x[2]); });
  table.add<ir::DropoutOp>([](ir::DropoutOp op, const Inputs &x) {
    return dropout(x[0], x[1], op.getRate().convertToFloat(), static_cast<uint32_t>(op.getStream()));
  });
  table.add<ir::ContractOp>([](ir::ContractOp, const Inputs &x) { return contract(x[0], x[1], x[2]); });
  table.add<ir::SumRowsOp>([](ir::SumRowsOp, const Inputs &x) { return sumRows(x[0], x[1]); });
  table.add<ir::ScatterAddOp>([](ir::ScatterAddOp, const Inputs &x) { return scatterAdd(x[0], x[1], x[2]); });
  table.add<ir::LayerNormGradOp>([](ir::LayerNormGradOp op, const Inputs &x) {
    return layerNormGrad(x[0], x[1], x[2], op.getEpsilon().convertToFloat());
  });
  table.add<ir::AttentionGradOp>([](ir::AttentionGradOp op, const Inputs &x) {
    const Tensor *length = op.getLength() ? &x[4] : nullptr;
    return attentionGrad({x[0], x[1], x[2], x[3]}, scoresOf(op),
                         {nullptr, length, op.getCausal(), windowOf(op)});
  });
  table.add<ir::PoolGradOp>(
      [](ir::PoolGradOp op, const Inputs &x) { return poolGrad(op.getMode(), x[0], x[1], x[2]); });
  table.add<ir::AdamWOp>(adamw);
}

} // namespace linnet::reference
