// Kernels of training: see gradient_kernels.h for what each computes, docs/ir.md for the formulas.
#include "backends/cpu/gradient_kernels.h"
#include "backends/cpu/emitter.h"
#include "runtime/philox.h"

#include <bit>
#include <cmath>
#include <fmt/format.h>
#include <limits>

namespace linnet::cpu {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr Type kFloat = Type::f32;

Value *real(Emitter &e, Value *integer) { return e.b.CreateSIToFP(integer, e.b.getFloatTy()); }
Value *plus(Emitter &e, Value *x, Value *y) { return e.b.CreateFAdd(x, y); }

/// Largest element of a row, and the sum of e^(x - largest), which `each` is told of.
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

/// A row's label, kept inside the columns; `counts` says that it is not negative.
struct Label {
  Value *index, *counts;
  Label(Emitter &e, Value *labels, Value *row, Value *columns) {
    Value *label = e.loadIndex(labels, row);
    counts = e.b.CreateICmpSGE(label, e.i64(0));
    index = e.max(e.min(label, e.b.CreateSub(columns, e.i64(1))), e.i64(0));
  }
};

void emitCrossEntropy(Emitter &e, const RowSpec &spec) {
  Value *x = e.arg(0), *labels = e.arg(1), *out = e.arg(2), *columns = e.extent(spec.columns);
  e.loop(e.begin, e.end, 1, [&](Value *row) {
    Value *base = e.b.CreateMul(row, columns);
    Label label(e, labels, row, columns);
    auto [largest, sum] = softmaxOf(e, x, base, columns, [](Value *, Value *) {});
    Value *picked = e.load(kFloat, x, e.b.CreateAdd(base, label.index));
    Value *loss = e.b.CreateFAdd(e.log(sum), e.b.CreateFSub(largest, picked));
    e.store(kFloat, out, row, e.b.CreateSelect(label.counts, loss, e.f32(0)));
  });
}

void emitCrossEntropyGrad(Emitter &e, const RowSpec &spec) {
  Value *x = e.arg(0), *labels = e.arg(1), *gradient = e.arg(2), *out = e.arg(3);
  Value *columns = e.extent(spec.columns);
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

void emitLayerNormGrad(Emitter &e, const RowSpec &spec) {
  Value *x = e.arg(0), *gain = e.arg(1), *gradient = e.arg(2), *out = e.arg(3);
  Value *columns = e.extent(spec.columns), *zero = e.i64(0), *size = real(e, columns);
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
    auto scaled = [&](Value *i, int lanes) { // g
      return e.b.CreateFMul(e.load(kFloat, gradient, at(i), lanes), e.load(spec.gain, gain, i, lanes));
    };
    Value *variance = mean([&](Value *acc, Value *i, int lanes) {
      Value *d = centred(i, lanes);
      return e.fma(d, d, acc);
    });
    Value *scale = e.b.CreateFDiv(e.f32(1), e.sqrt(e.b.CreateFAdd(variance, e.f32(spec.epsilon))));
    Value *mean_g = mean([&](Value *acc, Value *i, int lanes) { return plus(e, acc, scaled(i, lanes)); });
    Value *mean_gy = mean(
        [&](Value *acc, Value *i, int lanes) { return e.fma(scaled(i, lanes), centred(i, lanes), acc); });
    Value *slope = e.b.CreateFMul(mean_gy, e.b.CreateFMul(scale, scale)); // y mean(g y) = (x - mean) * slope
    e.forVectors(zero, columns, [&](Value *i, int lanes) {
      Value *rest = e.b.CreateFSub(scaled(i, lanes), e.splat(mean_g, lanes));
      rest = e.b.CreateFSub(rest, e.b.CreateFMul(centred(i, lanes), e.splat(slope, lanes)));
      e.store(kFloat, out, at(i), e.b.CreateFMul(rest, e.splat(scale, lanes)));
    });
  });
}

void emitSumRows(Emitter &e, const SumRowsSpec &spec) {
  Value *accumulator = e.arg(0), *x = e.arg(1), *out = e.arg(2);
  Value *rows = e.extent(spec.rows), *columns = e.extent(spec.columns);
  e.forVectors(e.begin, e.end, [&](Value *i, int lanes) {
    Values sum =
        e.loop(e.i64(0), rows, 1, {e.load(kFloat, accumulator, i, lanes)}, [&](Value *r, const Values &now) {
          return Values{plus(e, now[0], e.load(kFloat, x, e.muladd(r, columns, i), lanes))};
        });
    e.store(kFloat, out, i, sum[0]);
  });
}

void emitScatterAdd(Emitter &e, const ScatterAddSpec &spec) {
  Value *table = e.arg(0), *ids = e.arg(1), *rows = e.arg(2), *columns = e.extent(spec.columns);
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

/// The first word of philox4x32 (runtime/philox.h) with counter (low, high, stream, 0), one counter a lane.
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

void emitDropout(Emitter &e, const DropoutSpec &spec) {
  Value *x = e.arg(0), *key = e.arg(1), *out = e.arg(2);
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

void emitPoolGrad(Emitter &e, const PoolSpec &spec) {
  Value *gradient = e.arg(0), *length = e.arg(1), *out = e.arg(2);
  Value *positions = e.extent(spec.positions), *columns = e.extent(spec.columns);
  e.forRuns(columns, [&](Value *row, Value *from, Value *to) {
    Value *batch = e.b.CreateSDiv(row, positions), *t = e.b.CreateSRem(row, positions);
    Value *count = e.max(e.min(e.loadIndex(length, batch), positions), e.i64(1));
    Value *takes = spec.mode == Pooling::mean   ? e.b.CreateICmpSLT(t, count)
                   : spec.mode == Pooling::last ? e.b.CreateICmpEQ(t, e.b.CreateSub(count, e.i64(1)))
                                                : e.b.CreateICmpEQ(t, e.i64(0));
    Value *divisor = spec.mode == Pooling::mean ? real(e, count) : e.f32(1);
    e.forVectors(from, to, [&](Value *i, int lanes) {
      Value *dy = e.load(kFloat, gradient, e.muladd(batch, columns, i), lanes);
      dy = e.b.CreateSelect(takes, e.b.CreateFDiv(dy, e.splat(divisor, lanes)), e.f32(0, lanes));
      e.store(kFloat, out, e.muladd(row, columns, i), dy);
    });
  });
}

void emitAdamW(Emitter &e, const AdamWSpec &spec) {
  Value *param = e.arg(0), *gradient = e.arg(1), *m = e.arg(2), *v = e.arg(3), *start = e.arg(8);
  auto scalar = [&](int i) { return e.load(kFloat, e.arg(i), e.i64(0)); };
  Value *lr = e.b.CreateFMul(scalar(4), e.f32(spec.lr_scale));
  Value *scale = scalar(5), *m_scale = scalar(6), *v_scale = scalar(7);
  e.forVectors(e.begin, e.end, [&](Value *i, int lanes) {
    auto wide = [&](Value *x) { return e.splat(x, lanes); };
    auto number = [&](double x) { return e.f32(x, lanes); };
    auto mul = [&](Value *x, Value *y) { return e.b.CreateFMul(x, y); };
    Value *p = e.load(kFloat, param, i, lanes);
    Value *g = mul(e.load(kFloat, gradient, i, lanes), wide(scale));
    if (spec.pull != 0) g = e.fma(number(spec.pull), e.b.CreateFSub(p, e.load(kFloat, start, i, lanes)), g);
    Value *new_m =
        e.fma(number(spec.beta1), e.load(kFloat, m, i, lanes), mul(number(1 - double(spec.beta1)), g));
    Value *new_v = e.fma(number(spec.beta2), e.load(kFloat, v, i, lanes),
                         mul(number(1 - double(spec.beta2)), mul(g, g)));
    Value *root = e.b.CreateFAdd(e.sqrt(mul(new_v, wide(v_scale))), number(spec.epsilon));
    Value *step = e.b.CreateFDiv(mul(new_m, wide(m_scale)), root);
    step = e.fma(number(spec.decay), p, step);
    e.store(kFloat, e.arg(9), i, e.b.CreateFSub(p, mul(wide(lr), step)));
    e.store(kFloat, e.arg(10), i, number(0));
    e.store(kFloat, e.arg(11), i, new_m);
    e.store(kFloat, e.arg(12), i, new_v);
  });
}

//===- attention ---------------------------------------------------------------------------------------===//

/// One head after the other; for each query its scores s and d = gradient . v, one key a lane, then what they
/// give to the rows of q, k and v.
struct AttentionGrad {
  Emitter &e;
  const AttentionGradSpec &spec;
  const int lanes = e.lanes();
  const int pieces = int((spec.head_size + lanes - 1) / lanes);
  Value *q = e.arg(0), *k = e.arg(1), *v = e.arg(2), *gradient = e.arg(3), *length = e.arg(4);
  Value *dq = e.arg(5), *dk = e.arg(6), *dv = e.arg(7);
  Value *queries = e.extent(spec.queries), *heads = e.extent(spec.heads), *capacity = e.extent(spec.capacity);
  Value *size = e.i64(spec.head_size);
  Value *weights = e.scratch(padded()), *slopes = e.scratch(padded()); ///< of each key, whole vectors

  int64_t padded() const { return (spec.largest_capacity + lanes - 1) / lanes * lanes; }
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
      Value *batch = e.b.CreateSDiv(item, heads), *head = e.b.CreateSRem(item, heads);
      Value *keys = e.b.CreateMul(e.b.CreateMul(item, capacity), size);
      Values zeros(pieces, e.f32(0, lanes));
      e.loop(e.i64(0), capacity, 1, [&](Value *j) {
        setRow(dk, e.muladd(j, size, keys), zeros);
        setRow(dv, e.muladd(j, size, keys), zeros);
      });
      e.loop(e.i64(0), queries, 1, [&](Value *t) {
        Value *position = e.muladd(batch, queries, t);
        Value *at_query = e.b.CreateMul(e.muladd(position, heads, head), size);
        Value *seen = spec.causal ? e.b.CreateAdd(t, e.i64(1)) : queries;
        if (spec.length) seen = e.min(seen, e.max(e.loadIndex(length, batch), e.i64(0)));
        query(row(q, at_query), row(gradient, at_query), at_query, keys, e.min(seen, capacity));
      });
    });
  }

  /// Sums of products of `x` with the rows of `base` from key `first` on, one key a lane.
  Value *dots(const Values &x, Value *base, Value *keys, Value *first) {
    return e.transposeSum([&](int j) {
      Value *key = e.min(e.b.CreateAdd(first, e.i64(j)), e.b.CreateSub(capacity, e.i64(1)));
      Values parts = row(base, e.muladd(key, size, keys));
      Value *sum = e.b.CreateFMul(x[0], parts[0]);
      for (int c = 1; c < pieces; ++c) sum = e.fma(x[c], parts[c], sum);
      return sum;
    });
  }

  void query(const Values &x, const Values &dy, Value *at_query, Value *keys, Value *seen) {
    auto step = [&](Value *first) {
      return e.b.CreateICmpSLT(e.indices(first, lanes), e.splat(seen, lanes));
    };
    auto blocks = [&](Values init, llvm::function_ref<Values(Value *, const Values &)> body) {
      return e.loop(e.i64(0), seen, lanes, std::move(init), body);
    };
    // Scores and gradient . v of each key.
    Value *largest = blocks({e.f32(-1e30, lanes)}, [&](Value *first, const Values &now) {
      Value *s = e.b.CreateFMul(dots(x, k, keys, first), e.f32(spec.scale, lanes));
      s = e.b.CreateSelect(step(first), s, e.f32(-kInfinity, lanes));
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
      e.store(kFloat, slopes, first, e.b.CreateFMul(e.b.CreateFMul(p, d), e.f32(spec.scale, lanes)));
      return now;
    });
    Values sum = e.loop(e.i64(0), seen, 1, Values(pieces, e.f32(0, lanes)), [&](Value *j, const Values &now) {
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

std::string bits(float x) { return fmt::format("{:x}", std::bit_cast<uint32_t>(x)); }

} // namespace

KernelSource crossEntropyKernel(const RowSpec &spec) {
  return {fmt::format("cross_entropy_c{}", spec.columns.text()),
          [spec](Emitter &e) { emitCrossEntropy(e, spec); }};
}
KernelSource crossEntropyGradKernel(const RowSpec &spec) {
  return {fmt::format("cross_entropy_grad_c{}", spec.columns.text()),
          [spec](Emitter &e) { emitCrossEntropyGrad(e, spec); }};
}
KernelSource layerNormGradKernel(const RowSpec &spec) {
  return {fmt::format("layer_norm_grad_c{}_eps{}", spec.columns.text(), bits(spec.epsilon)),
          [spec](Emitter &e) { emitLayerNormGrad(e, spec); }};
}
KernelSource dropoutKernel(const DropoutSpec &spec) {
  return {fmt::format("dropout_{}_{}", bits(spec.rate), spec.stream),
          [spec](Emitter &e) { emitDropout(e, spec); }};
}
KernelSource sumRowsKernel(const SumRowsSpec &spec) {
  return {fmt::format("sum_rows_r{}_c{}", spec.rows.text(), spec.columns.text()),
          [spec](Emitter &e) { emitSumRows(e, spec); }};
}
KernelSource scatterAddKernel(const ScatterAddSpec &spec) {
  return {fmt::format("scatter_add_v{}_n{}_c{}", spec.table_rows, spec.count.text(), spec.columns.text()),
          [spec](Emitter &e) { emitScatterAdd(e, spec); }};
}
KernelSource attentionGradKernel(const AttentionGradSpec &spec) {
  return {fmt::format("attention_grad_t{}_h{}_s{}_d{}_max{}_scale{}{}{}", spec.queries.text(),
                      spec.heads.text(), spec.capacity.text(), spec.head_size, spec.largest_capacity,
                      bits(spec.scale), spec.causal ? "_causal" : "", spec.length ? "_length" : ""),
          [spec](Emitter &e) {
            AttentionGrad{e, spec}.emit();
          }};
}
KernelSource poolGradKernel(const PoolSpec &spec) {
  static const char *const kModes[] = {"last", "first", "mean"};
  return {
      fmt::format("pool_grad_{}_t{}_c{}", kModes[int(spec.mode)], spec.positions.text(), spec.columns.text()),
      [spec](Emitter &e) { emitPoolGrad(e, spec); }};
}
KernelSource adamwKernel(const AdamWSpec &spec) {
  return {fmt::format("adamw_{}_{}_{}_{}_{}_{}", bits(spec.beta1), bits(spec.beta2), bits(spec.epsilon),
                      bits(spec.decay), bits(spec.lr_scale), bits(spec.pull)),
          [spec](Emitter &e) { emitAdamW(e, spec); }};
}

} // namespace linnet::cpu
