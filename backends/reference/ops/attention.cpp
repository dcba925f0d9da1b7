// attention, mask, cache_append.
#include "backends/reference/ops.h"
#include "support/error.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace linnet::reference {

Result<Sight::Keys> Sight::keys(int64_t b, int64_t t, int64_t seq, int64_t capacity) const {
  int64_t before = past ? past->ints()[b] : 0;
  if (before < 0) return errorf("past[{}] is {}", b, before);
  int64_t n = causal ? before + t + 1 : before + seq;
  if (length) n = std::min(n, before + std::max<int64_t>(length->ints()[b], 0));
  const int64_t end = std::min(capacity, n); // padding after a short sequence may look beyond the cache
  const int64_t begin = window ? std::max<int64_t>(before + t + 1 - window, 0) : 0;
  return Keys{std::min(begin, end), end};
}

namespace {

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

// q (B, T, H, D), k and v (B, G, S, D) -> (B, T, H, D). bf16_rows: the least number of queries for which both products
// multiply numbers rounded to bf16; 0: never.
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

} // namespace

void addAttention(OpTable &table) {
  table.add<ir::AttentionOp>([](ir::AttentionOp op, const Inputs &x) {
    Optionals optional(x, 3);
    const Tensor *past = optional.take(op.getPast()), *length = optional.take(op.getLength());
    return attention(x[0], x[1], x[2], scoresOf(op), {past, length, op.getCausal(), windowOf(op)},
                     static_cast<int64_t>(op.getBf16Rows()));
  });
  table.add<ir::MaskOp>([](ir::MaskOp op, const Inputs &x) {
    Optionals optional(x, 1);
    const Tensor *past = optional.take(op.getPast()), *length = optional.take(op.getLength());
    return mask(x[0], {past, length, op.getCausal(), windowOf(op)});
  });
  table.add<ir::CacheAppendOp>(
      [](ir::CacheAppendOp, const Inputs &x) { return cacheAppend(x[0], x[1], x[2]); });
}

} // namespace linnet::reference
