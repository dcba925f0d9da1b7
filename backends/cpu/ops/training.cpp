// Kernels of training. docs/ir.md has the formulas, backends/common/specs/training.h the operands.
#include "backends/cpu/emitter.h"
#include "backends/cpu/kernels.h"
#include "runtime/philox.h"

#include <cmath>
#include <fmt/format.h>
#include <limits>

namespace linnet::cpu {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr Type kFloat = Type::f32;

Value *real(Emitter &e, Value *integer) { return e.b.CreateSIToFP(integer, e.b.getFloatTy()); }
Value *plus(Emitter &e, Value *x, Value *y) { return e.b.CreateFAdd(x, y); }

/// Returns the largest element of a row and the sum of p = e^(x - largest). Calls each(index, p).
std::pair<Value *, Value *> softmaxOf(Emitter &e, Value *x, Value *base, Value *columns,
                                      llvm::function_ref<void(Value *, Value *)> each) {
  auto at = [&](Value *i) { return e.b.CreateAdd(base, i); };
  Value *largest = e.fold(
      e.i64(0), columns, -kInfinity,
      [&](Value *acc, Value *i, int lanes) { return e.maxOf(e.load(kFloat, x, at(i), lanes), acc); },
      [&](Value *l, Value *r) { return e.maxOf(l, r); });
  Value *sum = e.fold(
      e.i64(0), columns, 0,
      [&](Value *acc, Value *i, int lanes) {
        Value *p = e.exp(e.b.CreateFSub(e.load(kFloat, x, at(i), lanes), e.splat(largest, lanes)));
        each(at(i), p);
        return plus(e, acc, p);
      },
      [&](Value *l, Value *r) { return plus(e, l, r); });
  return {largest, sum};
}

/// A row's label, clamped to the columns. `counts`: the label is not negative.
struct Label {
  Value *index, *counts;
  Label(Emitter &e, Value *labels, Value *row, Value *columns) {
    Value *label = e.loadIndex(labels, row);
    counts = e.b.CreateICmpSGE(label, e.i64(0));
    index = e.max(e.min(label, e.b.CreateSub(columns, e.i64(1))), e.i64(0));
  }
};

} // namespace

template <> void emit(Emitter &e, const CrossEntropySpec &spec) {
  using Operand = CrossEntropySpec::Operand;
  Value *x = e.arg(spec, Operand::logits), *labels = e.arg(spec, Operand::labels);
  Value *out = e.arg(spec, Operand::out), *columns = e.extent(spec.logits.columns);
  e.loop(e.begin, e.end, 1, [&](Value *row) {
    Value *base = e.b.CreateMul(row, columns);
    Label label(e, labels, row, columns);
    auto [largest, sum] = softmaxOf(e, x, base, columns, [](Value *, Value *) {});
    Value *picked = e.load(kFloat, x, e.b.CreateAdd(base, label.index));
    Value *loss = e.b.CreateFAdd(e.log(sum), e.b.CreateFSub(largest, picked));
    e.store(kFloat, out, row, e.b.CreateSelect(label.counts, loss, e.f32(0)));
  });
}
template <> Work workOf(const CrossEntropySpec &spec) { return {.items = spec.rows()}; }

template <> void emit(Emitter &e, const CrossEntropyGradSpec &spec) {
  using Operand = CrossEntropyGradSpec::Operand;
  Value *x = e.arg(spec, Operand::logits), *labels = e.arg(spec, Operand::labels);
  Value *gradient = e.arg(spec, Operand::gradient), *out = e.arg(spec, Operand::out);
  Value *columns = e.extent(spec.logits.columns);
  e.loop(e.begin, e.end, 1, [&](Value *row) {
    Value *base = e.b.CreateMul(row, columns);
    Label label(e, labels, row, columns);
    Value *dy = e.b.CreateSelect(label.counts, e.load(kFloat, gradient, row), e.f32(0));
    Value *sum =
        softmaxOf(e, x, base, columns, [&](Value *at, Value *p) { e.store(kFloat, out, at, p); }).second;
    Value *scale = e.b.CreateFDiv(dy, sum);
    e.forVectors(e.i64(0), columns, [&](Value *i, int lanes) {
      Value *at = e.b.CreateAdd(base, i);
      e.store(kFloat, out, at, e.b.CreateFMul(e.load(kFloat, out, at, lanes), e.splat(scale, lanes)));
    });
    Value *at = e.b.CreateAdd(base, label.index);
    e.store(kFloat, out, at, e.b.CreateFSub(e.load(kFloat, out, at), dy));
  });
}
template <> Work workOf(const CrossEntropyGradSpec &spec) { return {.items = spec.rows()}; }

template <> void emit(Emitter &e, const LayerNormGradSpec &spec) {
  using Operand = LayerNormGradSpec::Operand;
  Value *x = e.arg(spec, Operand::x), *gain = e.arg(spec, Operand::gain);
  Value *gradient = e.arg(spec, Operand::gradient), *out = e.arg(spec, Operand::out);
  Value *columns = e.extent(spec.x.columns), *zero = e.i64(0), *size = real(e, columns);
  auto join = [&](Value *l, Value *r) { return plus(e, l, r); };
  e.loop(e.begin, e.end, 1, [&](Value *row) {
    Value *base = e.b.CreateMul(row, columns);
    auto at = [&](Value *i) { return e.b.CreateAdd(base, i); };
    auto mean = [&](llvm::function_ref<Value *(Value *, Value *, int)> step) {
      return e.b.CreateFDiv(e.fold(zero, columns, 0, step, join), size);
    };
    Value *average =
        mean([&](Value *acc, Value *i, int lanes) { return plus(e, acc, e.load(kFloat, x, at(i), lanes)); });
    auto centred = [&](Value *i, int lanes) {
      return e.b.CreateFSub(e.load(kFloat, x, at(i), lanes), e.splat(average, lanes));
    };
    auto scaled = [&](Value *i, int lanes) { // g = gradient * gain
      return e.b.CreateFMul(e.load(kFloat, gradient, at(i), lanes), e.load(kFloat, gain, i, lanes));
    };
    Value *variance = mean([&](Value *acc, Value *i, int lanes) {
      Value *d = centred(i, lanes);
      return e.fma(d, d, acc);
    });
    Value *scale = e.b.CreateFDiv(e.f32(1), e.sqrt(e.b.CreateFAdd(variance, e.f32(spec.epsilon))));
    Value *mean_g = mean([&](Value *acc, Value *i, int lanes) { return plus(e, acc, scaled(i, lanes)); });
    Value *mean_gy = mean(
        [&](Value *acc, Value *i, int lanes) { return e.fma(scaled(i, lanes), centred(i, lanes), acc); });
    // y mean(g y) = (x - mean) * slope with y = (x - mean) * scale
    Value *slope = e.b.CreateFMul(mean_gy, e.b.CreateFMul(scale, scale));
    e.forVectors(zero, columns, [&](Value *i, int lanes) {
      Value *rest = e.b.CreateFSub(scaled(i, lanes), e.splat(mean_g, lanes));
      rest = e.b.CreateFSub(rest, e.b.CreateFMul(centred(i, lanes), e.splat(slope, lanes)));
      e.store(kFloat, out, at(i), e.b.CreateFMul(rest, e.splat(scale, lanes)));
    });
  });
}
template <> Work workOf(const LayerNormGradSpec &spec) { return {.items = spec.rows()}; }

template <> void emit(Emitter &e, const SumRowsSpec &spec) {
  using Operand = SumRowsSpec::Operand;
  Value *accumulator = e.arg(spec, Operand::accumulator), *x = e.arg(spec, Operand::x);
  Value *out = e.arg(spec, Operand::out);
  Value *rows = e.extent(spec.rows), *columns = e.extent(spec.columns);
  e.forVectors(e.begin, e.end, [&](Value *i, int lanes) {
    Values sum =
        e.loop(e.i64(0), rows, 1, {e.load(kFloat, accumulator, i, lanes)}, [&](Value *r, const Values &now) {
          return Values{plus(e, now[0], e.load(kFloat, x, e.muladd(r, columns, i), lanes))};
        });
    e.store(kFloat, out, i, sum[0]);
  });
}
template <> Work workOf(const SumRowsSpec &spec) {
  return {.items = spec.columns, .grain = kTallColumnGrain};
}

template <> void emit(Emitter &e, const ScatterAddSpec &spec) {
  using Operand = ScatterAddSpec::Operand;
  Value *ids = e.arg(spec, Operand::ids), *rows = e.arg(spec, Operand::rows);
  Value *table = e.arg(spec, Operand::table), *columns = e.extent(spec.columns);
  e.loop(e.i64(0), e.extent(spec.count), 1, [&](Value *i) {
    Value *id = e.max(e.min(e.loadIndex(ids, i), e.i64(spec.table_rows - 1)), e.i64(0));
    e.forVectors(e.begin, e.end, [&](Value *c, int lanes) {
      Value *to = e.muladd(id, columns, c);
      Value *sum =
          plus(e, e.load(kFloat, table, to, lanes), e.load(kFloat, rows, e.muladd(i, columns, c), lanes));
      e.store(kFloat, table, to, sum);
    });
  });
}
/// Items are columns, so that no two threads add to the same element.
template <> Work workOf(const ScatterAddSpec &spec) {
  return {.items = spec.columns, .grain = kTallColumnGrain};
}

namespace {

/// The first word of philox4x32 (runtime/philox.h) for the counters (low, high, stream, 0), one in each lane.
Value *philox(Emitter &e, Value *low, Value *high, uint32_t stream, Value *key0, Value *key1, int lanes) {
  auto word = [&](uint32_t value) { return e.splat(e.b.getInt32(value), lanes); };
  llvm::Type *words = low->getType(), *pairs = e.splat(e.i64(0), lanes)->getType();
  auto product = [&](Value *x, uint32_t factor) {
    return e.b.CreateMul(e.b.CreateZExt(x, pairs), e.splat(e.i64(int64_t(factor)), lanes));
  };
  auto upper = [&](Value *pair) { return e.b.CreateTrunc(e.b.CreateLShr(pair, 32), words); };
  auto lower = [&](Value *pair) { return e.b.CreateTrunc(pair, words); };
  Value *c[] = {low, high, word(stream), word(0)}, *key[] = {e.splat(key0, lanes), e.splat(key1, lanes)};
  for (int round = 0; round < kPhiloxRounds; ++round) {
    Value *p0 = product(c[0], kPhiloxFactors[0]), *p1 = product(c[2], kPhiloxFactors[1]);
    c[0] = e.b.CreateXor(e.b.CreateXor(upper(p1), c[1]), key[0]);
    c[2] = e.b.CreateXor(e.b.CreateXor(upper(p0), c[3]), key[1]);
    c[1] = lower(p1), c[3] = lower(p0);
    key[0] = e.b.CreateAdd(key[0], word(kPhiloxSteps[0]));
    key[1] = e.b.CreateAdd(key[1], word(kPhiloxSteps[1]));
  }
  return c[0];
}

} // namespace

template <> void emit(Emitter &e, const DropoutSpec &spec) {
  using Operand = DropoutSpec::Operand;
  Value *x = e.arg(spec, Operand::x), *key = e.arg(spec, Operand::key), *out = e.arg(spec, Operand::out);
  auto narrow = [&](Value *index) { return e.b.CreateTrunc(index, e.b.getInt32Ty()); };
  Value *key0 = narrow(e.loadIndex(key, e.i64(0))), *key1 = narrow(e.loadIndex(key, e.i64(1)));
  e.forVectors(e.begin, e.end, [&](Value *i, int lanes) {
    Value *at = e.indices(i, lanes);
    llvm::Type *words = e.splat(e.b.getInt32(0), lanes)->getType();
    Value *low = e.b.CreateTrunc(at, words), *high = e.b.CreateTrunc(e.b.CreateLShr(at, 32), words);
    Value *drawn = e.b.CreateLShr(philox(e, low, high, spec.stream, key0, key1, lanes), 8);
    Value *keep = e.b.CreateICmpUGE(drawn, e.splat(e.b.getInt32(spec.threshold()), lanes));
    Value *scaled = e.b.CreateFMul(e.load(kFloat, x, i, lanes), e.f32(spec.factor(), lanes));
    e.store(kFloat, out, i, e.b.CreateSelect(keep, scaled, e.f32(0, lanes)));
  });
}
template <> Work workOf(const DropoutSpec &spec) { return {.items = spec.elements, .grain = kStreamGrain}; }

template <> void emit(Emitter &e, const PoolGradSpec &spec) {
  using Operand = PoolGradSpec::Operand;
  const PoolSpec &pool = spec.pool;
  Value *gradient = e.arg(spec, Operand::gradient), *length = e.arg(spec, Operand::length);
  Value *out = e.arg(spec, Operand::out);
  Value *positions = e.extent(pool.positions), *columns = e.extent(pool.columns);
  e.forRuns(columns, [&](Value *row, Value *from, Value *to) {
    Value *batch = e.b.CreateSDiv(row, positions), *t = e.b.CreateSRem(row, positions);
    Value *count = e.max(e.min(e.loadIndex(length, batch), positions), e.i64(1));
    Value *takes = pool.mode == Pooling::mean   ? e.b.CreateICmpSLT(t, count)
                   : pool.mode == Pooling::last ? e.b.CreateICmpEQ(t, e.b.CreateSub(count, e.i64(1)))
                                                : e.b.CreateICmpEQ(t, e.i64(0));
    Value *divisor = pool.mode == Pooling::mean ? real(e, count) : e.f32(1);
    e.forVectors(from, to, [&](Value *i, int lanes) {
      Value *dy = e.load(kFloat, gradient, e.muladd(batch, columns, i), lanes);
      dy = e.b.CreateSelect(takes, e.b.CreateFDiv(dy, e.splat(divisor, lanes)), e.f32(0, lanes));
      e.store(kFloat, out, e.muladd(row, columns, i), dy);
    });
  });
}
template <> Work workOf(const PoolGradSpec &spec) {
  return {.items = spec.elements(), .grain = kColumnGrain};
}

template <> void emit(Emitter &e, const AdamWSpec &spec) {
  using Operand = AdamWSpec::Operand;
  auto scalar = [&](Operand operand) { return e.load(kFloat, e.arg(spec, operand), e.i64(0)); };
  Value *lr = e.b.CreateFMul(scalar(Operand::lr), e.f32(spec.lr_scale)), *scale = scalar(Operand::scale);
  Value *m_scale = scalar(Operand::m_scale), *v_scale = scalar(Operand::v_scale);
  e.forVectors(e.begin, e.end, [&](Value *i, int lanes) {
    auto wide = [&](Value *x) { return e.splat(x, lanes); };
    auto number = [&](double x) { return e.f32(x, lanes); };
    auto mul = [&](Value *x, Value *y) { return e.b.CreateFMul(x, y); };
    auto load = [&](Operand operand) { return e.load(kFloat, e.arg(spec, operand), i, lanes); };
    auto store = [&](Operand operand, Value *x) { e.store(kFloat, e.arg(spec, operand), i, x); };
    Value *p = load(Operand::param), *g = mul(load(Operand::gradient), wide(scale));
    if (spec.pull != 0) g = e.fma(number(spec.pull), e.b.CreateFSub(p, load(Operand::start)), g);
    Value *new_m = e.fma(number(spec.beta1), load(Operand::m), mul(number(1 - double(spec.beta1)), g));
    Value *new_v =
        e.fma(number(spec.beta2), load(Operand::v), mul(number(1 - double(spec.beta2)), mul(g, g)));
    Value *root = e.b.CreateFAdd(e.sqrt(mul(new_v, wide(v_scale))), number(spec.epsilon));
    Value *step = e.b.CreateFDiv(mul(new_m, wide(m_scale)), root);
    step = e.fma(number(spec.decay), p, step);
    store(Operand::new_param, e.b.CreateFSub(p, mul(wide(lr), step)));
    store(Operand::cleared, number(0));
    store(Operand::new_m, new_m);
    store(Operand::new_v, new_v);
  });
}
template <> Work workOf(const AdamWSpec &spec) { return {.items = spec.elements, .grain = kStreamGrain}; }

namespace {

//===- attention ---------------------------------------------------------------------------------------===//

/// Gradients of one key head after another, and of the heads that share it. For each query, computes its scores s and d
/// = gradient . v, one key in each lane. Then adds their contributions to the rows of q, k and v.
struct AttentionGrad {
  Emitter &e;
  const AttentionGradSpec &spec;
  const int64_t largest_capacity;
  using Operand = AttentionGradSpec::Operand;
  const int lanes = e.lanes();
  const int pieces = int((spec.head_size + lanes - 1) / lanes);
  Value *q = e.arg(spec, Operand::q), *k = e.arg(spec, Operand::k), *v = e.arg(spec, Operand::v);
  Value *gradient = e.arg(spec, Operand::gradient), *length = e.arg(spec, Operand::length);
  Value *dq = e.arg(spec, Operand::dq), *dk = e.arg(spec, Operand::dk), *dv = e.arg(spec, Operand::dv);
  Value *queries = e.extent(spec.queries), *heads = e.extent(spec.heads), *capacity = e.extent(spec.capacity);
  Value *key_heads = e.extent(spec.keyHeads()), *size = e.i64(spec.head_size);
  /// one for each key, padded to whole vectors
  Value *weights = e.scratch(padded()), *slopes = e.scratch(padded());
  /// The cap's derivative for each key; null without a cap.
  Value *cap_slopes = spec.cap != 0 ? e.scratch(padded()) : nullptr;

  int64_t padded() const {
    // A window may begin at any key, so its first vector is not aligned.
    const int64_t keys = largest_capacity + (spec.window ? lanes : 0);
    return (keys + lanes - 1) / lanes * lanes;
  }
  int pieceSize(int c) const { return int(std::min<int64_t>(lanes, spec.head_size - int64_t(c) * lanes)); }
  Value *at(Value *row0, int c) { return e.b.CreateAdd(row0, e.i64(int64_t(c) * lanes)); }
  Values row(Value *base, Value *row0) {
    Values parts;
    for (int c = 0; c < pieces; ++c) parts.push_back(e.loadPart(kFloat, base, at(row0, c), pieceSize(c)));
    return parts;
  }
  void setRow(Value *base, Value *row0, const Values &parts) {
    for (int c = 0; c < pieces; ++c) e.storePart(kFloat, base, at(row0, c), parts[c], pieceSize(c));
  }

  void emit() {
    e.loop(e.begin, e.end, 1, [&](Value *item) {
      Value *batch = e.b.CreateSDiv(item, key_heads), *key_head = e.b.CreateSRem(item, key_heads);
      Value *keys = e.b.CreateMul(e.b.CreateMul(item, capacity), size);
      Values zeros(pieces, e.f32(0, lanes));
      e.loop(e.i64(0), capacity, 1, [&](Value *j) {
        setRow(dk, e.muladd(j, size, keys), zeros);
        setRow(dv, e.muladd(j, size, keys), zeros);
      });
      if (spec.key_group == 1) return head(batch, key_head, keys);
      Value *group = e.i64(spec.key_group);
      e.loop(e.i64(0), group, 1, [&](Value *i) { head(batch, e.muladd(key_head, group, i), keys); });
    });
  }

  /// `keys` is the index of the first element of the head's keys.
  void head(Value *batch, Value *head, Value *keys) {
    e.loop(e.i64(0), queries, 1, [&](Value *t) {
      Value *position = e.muladd(batch, queries, t);
      Value *at_query = e.b.CreateMul(e.muladd(position, heads, head), size);
      Value *seen = spec.causal ? e.b.CreateAdd(t, e.i64(1)) : queries, *begin = e.i64(0);
      if (spec.length) seen = e.min(seen, e.max(e.loadIndex(length, batch), e.i64(0)));
      seen = e.min(seen, capacity);
      if (spec.window) begin = e.min(e.max(e.b.CreateAdd(t, e.i64(1 - spec.window)), begin), seen);
      query(row(q, at_query), row(gradient, at_query), at_query, keys, begin, seen);
    });
  }

  /// Dot products of `x` and the rows of `base` from key `first` on, one key in each lane.
  Value *dots(const Values &x, Value *base, Value *keys, Value *first) {
    return e.transposeSum([&](int j) {
      Value *key = e.min(e.b.CreateAdd(first, e.i64(j)), e.b.CreateSub(capacity, e.i64(1)));
      Values parts = row(base, e.muladd(key, size, keys));
      Value *sum = e.b.CreateFMul(x[0], parts[0]);
      for (int c = 1; c < pieces; ++c) sum = e.fma(x[c], parts[c], sum);
      return sum;
    });
  }

  /// Returns the score after the cap, or the score if there is no cap. Stores the cap's derivative.
  Value *capped(Value *score, Value *first) {
    if (!cap_slopes) return score;
    Value *ratio = e.tanh(e.b.CreateFMul(score, e.f32(1 / double(spec.cap), lanes)));
    e.store(kFloat, cap_slopes, first, e.b.CreateFSub(e.f32(1, lanes), e.b.CreateFMul(ratio, ratio)));
    return e.b.CreateFMul(ratio, e.f32(spec.cap, lanes));
  }

  /// Handles one query, which sees keys [begin, seen).
  void query(const Values &x, const Values &dy, Value *at_query, Value *keys, Value *begin, Value *seen) {
    auto step = [&](Value *first) {
      return e.b.CreateICmpSLT(e.indices(first, lanes), e.splat(seen, lanes));
    };
    auto blocks = [&](Values init, llvm::function_ref<Values(Value *, const Values &)> body) {
      return e.loop(begin, seen, lanes, std::move(init), body);
    };
    // Computes the score and gradient . v of each key.
    Value *largest = blocks({e.f32(-1e30, lanes)}, [&](Value *first, const Values &now) {
      Value *s = e.b.CreateFMul(dots(x, k, keys, first), e.f32(spec.scale, lanes));
      s = e.b.CreateSelect(step(first), capped(s, first), e.f32(-kInfinity, lanes));
      e.store(kFloat, weights, first, s);
      e.store(kFloat, slopes, first, dots(dy, v, keys, first));
      return Values{e.maxOf(s, now[0])};
    })[0];
    largest = e.maxLanes(largest);
    Values sums = blocks({e.f32(0, lanes), e.f32(0, lanes)}, [&](Value *first, const Values &now) {
      Value *p = e.exp(e.b.CreateFSub(e.load(kFloat, weights, first, lanes), e.splat(largest, lanes)));
      e.store(kFloat, weights, first, p);
      return Values{plus(e, now[0], p), e.fma(p, e.load(kFloat, slopes, first, lanes), now[1])};
    });
    Value *inverse = e.b.CreateFDiv(e.f32(1), e.maxOf(e.sumLanes(sums[0]), e.f32(1e-30)));
    Value *mean = e.b.CreateFMul(e.sumLanes(sums[1]), inverse);
    blocks({e.i64(0)}, [&](Value *first, const Values &now) {
      Value *p = e.b.CreateFMul(e.load(kFloat, weights, first, lanes), e.splat(inverse, lanes));
      Value *d = e.b.CreateFSub(e.load(kFloat, slopes, first, lanes), e.splat(mean, lanes));
      e.store(kFloat, weights, first, p);
      if (cap_slopes) d = e.b.CreateFMul(d, e.load(kFloat, cap_slopes, first, lanes));
      e.store(kFloat, slopes, first, e.b.CreateFMul(e.b.CreateFMul(p, d), e.f32(spec.scale, lanes)));
      return now;
    });
    Values sum = e.loop(begin, seen, 1, Values(pieces, e.f32(0, lanes)), [&](Value *j, const Values &now) {
      Value *p = e.splat(e.load(kFloat, weights, j), lanes), *s = e.splat(e.load(kFloat, slopes, j), lanes);
      Value *key = e.muladd(j, size, keys);
      Values key_row = row(k, key), dk_row = row(dk, key), dv_row = row(dv, key), next;
      for (int c = 0; c < pieces; ++c) {
        next.push_back(e.fma(s, key_row[c], now[c]));
        dk_row[c] = e.fma(s, x[c], dk_row[c]);
        dv_row[c] = e.fma(p, dy[c], dv_row[c]);
      }
      setRow(dk, key, dk_row);
      setRow(dv, key, dv_row);
      return next;
    });
    setRow(dq, at_query, sum);
  }
};

} // namespace

SizedKernel attentionGradKernel(const AttentionGradSpec &spec, int64_t largest_capacity) {
  const std::string most = fmt::format("_max{}", largest_capacity);
  return {{spec.key("attention_grad", Walk::range) + most,
           [spec, largest_capacity](Emitter &e) {
             AttentionGrad{e, spec, largest_capacity}.emit();
           }},
          {.items = spec.batch * spec.keyHeads()}};
}

template SizedKernel kernelOf(const CrossEntropySpec &);
template SizedKernel kernelOf(const CrossEntropyGradSpec &);
template SizedKernel kernelOf(const LayerNormGradSpec &);
template SizedKernel kernelOf(const DropoutSpec &);
template SizedKernel kernelOf(const SumRowsSpec &);
template SizedKernel kernelOf(const ScatterAddSpec &);
template SizedKernel kernelOf(const PoolGradSpec &);
template SizedKernel kernelOf(const AdamWSpec &);

} // namespace linnet::cpu
