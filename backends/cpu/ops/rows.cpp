// Kernels whose items are rows or columns: normalization, softmax, argmax, reductions, pooling.
#include "backends/cpu/emitter.h"
#include "backends/cpu/kernels.h"

#include <limits>

namespace linnet::cpu {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Value *real(Emitter &e, Value *integer) { return e.b.CreateSIToFP(integer, e.b.getFloatTy()); }

} // namespace

template <> void emit(Emitter &e, const NormSpec &spec) {
  using Operand = NormSpec::Operand;
  Value *x = e.arg(spec, Operand::x), *gain = e.arg(spec, Operand::gain), *out = e.arg(spec, Operand::out);
  Value *bias = spec.rms ? nullptr : e.arg(spec, Operand::bias);
  Value *columns = e.extent(spec.x.columns), *zero = e.i64(0), *size = real(e, columns);
  auto add = [&](Value *l, Value *r) { return e.b.CreateFAdd(l, r); };
  e.loop(e.begin, e.end, 1, [&](Value *row) {
    Value *base = e.b.CreateMul(row, columns);
    auto element = [&](Value *i, int lanes) { return e.load(spec.x.type, x, e.b.CreateAdd(base, i), lanes); };
    Value *mean = nullptr;
    if (!spec.rms) {
      Value *sum = e.fold(
          zero, columns, 0, [&](Value *acc, Value *i, int lanes) { return add(acc, element(i, lanes)); },
          add);
      mean = e.b.CreateFDiv(sum, size);
    }
    auto centred = [&](Value *i, int lanes) {
      return mean ? e.b.CreateFSub(element(i, lanes), e.splat(mean, lanes)) : element(i, lanes);
    };
    Value *squares = e.fold(
        zero, columns, 0,
        [&](Value *acc, Value *i, int lanes) {
          Value *d = centred(i, lanes);
          return e.fma(d, d, acc);
        },
        add);
    Value *variance = e.b.CreateFDiv(squares, size);
    Value *scale = e.b.CreateFDiv(e.f32(1), e.sqrt(e.b.CreateFAdd(variance, e.f32(spec.epsilon))));
    e.forVectors(zero, columns, [&](Value *i, int lanes) {
      Value *y = e.b.CreateFMul(centred(i, lanes), e.splat(scale, lanes));
      Value *factor = e.load(spec.gain, gain, i, lanes);
      y = bias ? e.fma(y, factor, e.load(spec.gain, bias, i, lanes)) : e.b.CreateFMul(y, factor);
      e.store(spec.x.type, out, e.b.CreateAdd(base, i), y);
    });
  });
}
template <> Work workOf(const NormSpec &spec) { return {.items = spec.rows(), .itemwise = true}; }

template <> void emit(Emitter &e, const SoftmaxSpec &spec) {
  Value *x = e.arg(spec, SoftmaxSpec::Operand::x), *out = e.arg(spec, SoftmaxSpec::Operand::out);
  Value *columns = e.extent(spec.x.columns), *zero = e.i64(0);
  e.loop(e.begin, e.end, 1, [&](Value *row) {
    Value *base = e.b.CreateMul(row, columns);
    auto at = [&](Value *i) { return e.b.CreateAdd(base, i); };
    Value *largest = e.fold(
        zero, columns, -kInfinity,
        [&](Value *acc, Value *i, int lanes) { return e.maxOf(e.load(spec.x.type, x, at(i), lanes), acc); },
        [&](Value *l, Value *r) { return e.maxOf(l, r); });
    auto power = [&](Value *i, int lanes) {
      return e.exp(e.b.CreateFSub(e.load(spec.x.type, x, at(i), lanes), e.splat(largest, lanes)));
    };
    // f16 and bf16 would be rounded twice, so the powers are computed again
    const bool keep = spec.x.type == Type::f32;
    Value *sum = e.fold(
        zero, columns, 0,
        [&](Value *acc, Value *i, int lanes) {
          Value *p = power(i, lanes);
          if (keep) e.store(spec.x.type, out, at(i), p);
          return e.b.CreateFAdd(acc, p);
        },
        [&](Value *l, Value *r) { return e.b.CreateFAdd(l, r); });
    Value *scale = e.b.CreateFDiv(e.f32(1), sum);
    e.forVectors(zero, columns, [&](Value *i, int lanes) {
      Value *p = keep ? e.load(spec.x.type, out, at(i), lanes) : power(i, lanes);
      e.store(spec.x.type, out, at(i), e.b.CreateFMul(p, e.splat(scale, lanes)));
    });
  });
}
template <> Work workOf(const SoftmaxSpec &spec) { return {.items = spec.x.rows}; }

namespace {

/// The larger of two (value, index) pairs, with the lower index for equal values. v0 is not NaN. A NaN in v1 is never
/// larger.
Values larger(Emitter &e, Value *v0, Value *i0, Value *v1, Value *i1) {
  Value *equal = e.b.CreateFCmpOEQ(v1, v0);
  Value *take = e.b.CreateOr(e.b.CreateFCmpOGT(v1, v0), e.b.CreateAnd(equal, e.b.CreateICmpSLT(i1, i0)));
  return {e.b.CreateSelect(take, v1, v0), e.b.CreateSelect(take, i1, i0)};
}

/// The same if i1 > i0.
Values largerBehind(Emitter &e, Value *v0, Value *i0, Value *v1, Value *i1) {
  Value *take = e.b.CreateFCmpOGT(v1, v0);
  return {e.b.CreateSelect(take, v1, v0), e.b.CreateSelect(take, i1, i0)};
}

} // namespace

/// Each lane has four independent candidates, which hides the latency of comparisons.
template <> void emit(Emitter &e, const ArgmaxSpec &spec) {
  constexpr int kBests = 4;
  Value *x = e.arg(spec, ArgmaxSpec::Operand::x), *out = e.arg(spec, ArgmaxSpec::Operand::out);
  Value *columns = e.extent(spec.x.columns);
  const int lanes = e.lanes(), wide = kBests * lanes;
  llvm::SmallVector<llvm::Constant *, 16> ids;
  for (int i = 0; i < lanes; ++i) ids.push_back(e.b.getInt32(i));
  Value *lane_ids = llvm::ConstantVector::get(ids);
  Value *end_wide = e.b.CreateAnd(columns, e.i64(-int64_t(wide)));
  Value *end_vector = e.b.CreateAnd(columns, e.i64(-int64_t(lanes)));
  auto index = [&](Value *i, int n) {
    Value *first = e.splat(e.b.CreateTrunc(i, e.b.getInt32Ty()), n);
    return n == 1 ? first : e.b.CreateAdd(first, lane_ids);
  };
  e.loop(e.begin, e.end, 1, [&](Value *row) {
    Value *base = e.b.CreateMul(row, columns);
    auto next = [&](Value *v, Value *at, Value *i, int n) {
      return largerBehind(e, v, at, e.load(spec.x.type, x, e.b.CreateAdd(base, i), n), index(i, n));
    };
    Values bests;
    for (int u = 0; u < kBests; ++u) {
      bests.push_back(e.f32(-kInfinity, lanes));
      bests.push_back(index(e.i64(u * lanes), lanes));
    }
    bests = e.loop(e.i64(0), end_wide, wide, bests, [&](Value *i, const Values &now) {
      Values then;
      for (int u = 0; u < kBests; ++u)
        then.append(
            next(now[size_t(2 * u)], now[size_t(2 * u + 1)], e.b.CreateAdd(i, e.i64(u * lanes)), lanes));
      return then;
    });
    Values best{bests[0], bests[1]};
    for (int u = 1; u < kBests; ++u)
      best = larger(e, best[0], best[1], bests[size_t(2 * u)], bests[size_t(2 * u + 1)]);
    best = e.loop(end_wide, end_vector, lanes, best,
                  [&](Value *i, const Values &now) { return next(now[0], now[1], i, lanes); });
    for (int count = lanes; count > 1; count /= 2) {
      llvm::SmallVector<int, 16> low, high;
      for (int i = 0; i < count / 2; ++i) low.push_back(i), high.push_back(i + count / 2);
      auto part = [&](Value *v, llvm::ArrayRef<int> pick) { return e.b.CreateShuffleVector(v, pick); };
      best = larger(e, part(best[0], low), part(best[1], low), part(best[0], high), part(best[1], high));
    }
    best = {e.b.CreateExtractElement(best[0], uint64_t(0)), e.b.CreateExtractElement(best[1], uint64_t(0))};
    best = e.loop(end_vector, columns, 1, best,
                  [&](Value *i, const Values &now) { return next(now[0], now[1], i, 1); });
    e.store(Type::i32, out, row, best[1]);
  });
}
template <> Work workOf(const ArgmaxSpec &spec) { return {.items = spec.x.rows}; }

namespace {

Value *joinReduction(Emitter &e, Reduction kind, Value *x, Value *y) {
  return kind == Reduction::max ? e.maximum(x, y) : e.b.CreateFAdd(x, y);
}

} // namespace

template <> void emit(Emitter &e, const ReduceSpec &spec) {
  Value *x = e.arg(spec, ReduceSpec::Operand::x), *out = e.arg(spec, ReduceSpec::Operand::out);
  Value *size = e.extent(spec.size), *inner = e.extent(spec.inner);
  const double identity = spec.kind == Reduction::max ? -kInfinity : 0;
  auto join = [&](Value *l, Value *r) { return joinReduction(e, spec.kind, l, r); };
  auto finish = [&](Value *at, Value *value) {
    if (spec.kind == Reduction::mean)
      value = e.b.CreateFDiv(value, e.splat(real(e, size), Emitter::lanesOf(value)));
    e.store(spec.type, out, at, value);
  };
  if (spec.inner == Extent(1)) {
    e.loop(e.begin, e.end, 1, [&](Value *row) {
      Value *base = e.b.CreateMul(row, size);
      finish(row, e.fold(
                      e.i64(0), size, identity,
                      [&](Value *acc, Value *i, int lanes) {
                        return join(acc, e.load(spec.type, x, e.b.CreateAdd(base, i), lanes));
                      },
                      join));
    });
    return;
  }
  e.forRuns(inner, [&](Value *outer, Value *from, Value *to) {
    Value *base = e.b.CreateMul(outer, size);
    e.forVectors(from, to, [&](Value *i, int lanes) {
      Values acc = e.loop(e.i64(0), size, 1, {e.f32(identity, lanes)}, [&](Value *r, const Values &now) {
        return Values{join(now[0], e.load(spec.type, x, e.muladd(e.b.CreateAdd(base, r), inner, i), lanes))};
      });
      finish(e.muladd(outer, inner, i), acc[0]);
    });
  });
}
template <> Work workOf(const ReduceSpec &spec) {
  return {.items = spec.elements(), .grain = spec.inner == Extent(1) ? 1 : kTallColumnGrain};
}

template <> void emit(Emitter &e, const PoolSpec &spec) {
  using Operand = PoolSpec::Operand;
  Value *x = e.arg(spec, Operand::x), *length = e.arg(spec, Operand::length),
        *out = e.arg(spec, Operand::out);
  Value *positions = e.extent(spec.positions), *columns = e.extent(spec.columns);
  e.forRuns(columns, [&](Value *row, Value *from, Value *to) {
    Value *count = e.max(e.min(e.loadIndex(length, row), positions), e.i64(1));
    Value *base = e.b.CreateMul(row, positions);
    Value *position = spec.mode == Pooling::last ? e.b.CreateSub(count, e.i64(1)) : e.i64(0);
    e.forVectors(from, to, [&](Value *i, int lanes) {
      Value *at = e.muladd(row, columns, i);
      if (spec.mode != Pooling::mean)
        return e.copy(spec.type, out, at, x, e.muladd(e.b.CreateAdd(base, position), columns, i), lanes);
      Value *sum = e.loop(e.i64(0), count, 1, {e.f32(0, lanes)}, [&](Value *t, const Values &acc) {
        Value *element = e.load(spec.type, x, e.muladd(e.b.CreateAdd(base, t), columns, i), lanes);
        return Values{e.b.CreateFAdd(acc[0], element)};
      })[0];
      e.store(spec.type, out, at, e.b.CreateFDiv(sum, e.splat(real(e, count), lanes)));
    });
  });
}
template <> Work workOf(const PoolSpec &spec) { return {.items = spec.elements(), .grain = kColumnGrain}; }

template SizedKernel kernelOf(const NormSpec &);
template SizedKernel kernelOf(const SoftmaxSpec &);
template SizedKernel kernelOf(const ArgmaxSpec &);
template SizedKernel kernelOf(const ReduceSpec &);
template SizedKernel kernelOf(const PoolSpec &);

} // namespace linnet::cpu
