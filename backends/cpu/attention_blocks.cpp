// Flash attention over a block of queries, one query a lane, so that nothing is summed across lanes and a
// query's result does not depend on those beside it. Keys go by in blocks of kKeys:
//
//     s[j, :]  = sum_d q[d, :] k[j, d]              a tile of keys at a time, sums in registers
//     m'       = max(m, max_j s[j, :])              p[j, :] = e^(s[j, :] - m')
//     l'       = l e^(m - m') + sum_j p[j, :]
//     acc[d, :] = acc[d, :] e^(m - m') + sum_j p[j, :] v[j, d]     a tile of d at a time
//
// k[j, d] and v[j, d] are broadcast from memory; q, s, p and acc, transposed, live on the stack. Blocks of
// keys that no query of the block sees are not visited; where only some of them see a key, the others' scores
// are -infinity and their sums are left as they were, even beside a NaN.
#include "backends/cpu/attention.h"

#include <limits>

namespace linnet::cpu {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr int64_t kKeys = 64; ///< 16 KiB of keys with 64 dimensions: they stay in the first-level cache
constexpr int kVectors = 2;   ///< of queries: each broadcast serves both

struct Blocks {
  const AttentionOperands &in;
  const int vectors;
  Value *group, *t;
  Emitter &e = in.e;
  const AttentionSpec &spec = in.spec;
  const int lanes = e.lanes();
  const int64_t size = spec.head_size, rows = int64_t(vectors) * lanes;
  /// tile * vectors sums and as many operands fit the registers.
  const int tile = e.isa.registers >= 32 ? 8 : 4;
  Value *q = e.scratch(size * rows), *p = e.scratch(std::max(kKeys, roundUp(size)) * rows),
        *acc = e.scratch(size * rows);
  Value *wide = spec.cache == Type::f32 ? nullptr : e.scratch(kKeys * size); ///< a block of k or v in f32
  Value *keys = in.keysAt(group);
  Values limits = {}; ///< i32, one a lane: keys that each query sees

  int64_t roundUp(int64_t n) const { return (n + lanes - 1) / lanes * lanes; }

  // --- the transposed pieces on the stack
  Value *at(Value *row, int vector) {
    return e.b.CreateAdd(e.b.CreateMul(row, e.i64(rows)), e.i64(int64_t(vector) * lanes));
  }
  Value *load(Value *from, Value *row, int vector) { return e.load(Type::f32, from, at(row, vector), lanes); }
  void store(Value *to, Value *row, int vector, Value *x) { e.store(Type::f32, to, at(row, vector), x); }

  /// body(first, count) for the columns of a row in pieces of a vector.
  void forPieces(llvm::function_ref<void(Value *, int)> body) {
    const int64_t whole = size / lanes * lanes;
    e.loop(e.i64(0), e.i64(whole), lanes, [&](Value *c) { body(c, lanes); });
    if (whole < size) body(e.i64(whole), int(size - whole));
  }

  /// q, scaled. Lanes behind the last query repeat it.
  void loadQueries() {
    for (int w = 0; w < vectors; ++w) {
      Values from;
      for (int r = 0; r < lanes; ++r) {
        Value *row = e.min(e.b.CreateAdd(t, e.i64(w * lanes + r)), e.b.CreateSub(in.queries, e.i64(1)));
        from.push_back(in.queryAt(group, row));
      }
      forPieces([&](Value *c, int count) {
        Values piece;
        for (Value *row : from)
          piece.push_back(e.b.CreateFMul(e.loadPart(spec.type, in.q, e.b.CreateAdd(row, c), count),
                                         e.f32(spec.scale, lanes)));
        piece = e.transpose(piece);
        for (int d = 0; d < count; ++d) store(q, e.b.CreateAdd(c, e.i64(d)), w, piece[size_t(d)]);
      });
    }
  }

  void storeResults(const Values &inverse) {
    const int64_t stride = roundUp(size);
    for (int w = 0; w < vectors; ++w)
      forPieces([&](Value *c, int count) {
        Values piece;
        for (int d = 0; d < lanes; ++d)
          piece.push_back(d < count
                              ? e.b.CreateFMul(load(acc, e.b.CreateAdd(c, e.i64(d)), w), inverse[size_t(w)])
                              : e.f32(0, lanes));
        piece = e.transpose(piece);
        for (int r = 0; r < lanes; ++r)
          e.store(Type::f32, p, e.b.CreateAdd(c, e.i64((w * lanes + r) * stride)), piece[size_t(r)]);
      });
    Value *count = e.min(e.i64(rows), e.b.CreateSub(in.queries, t));
    e.loop(e.i64(0), count, 1, [&](Value *r) {
      Value *to = in.resultAt(group, e.b.CreateAdd(t, r)), *from = e.b.CreateMul(r, e.i64(stride));
      forPieces([&](Value *c, int part) {
        e.storePart(spec.type, in.out, e.b.CreateAdd(to, c),
                    e.load(Type::f32, p, e.b.CreateAdd(from, c), lanes), part);
      });
    });
  }

  /// Rows [key0, key0 + count) of k or v in f32: where they begin.
  std::pair<Value *, Value *> rowsOf(Value *cache, Value *key0, Value *count) {
    Value *first = e.muladd(key0, e.i64(size), keys);
    if (!wide) return {cache, first};
    e.forVectors(e.i64(0), e.b.CreateMul(count, e.i64(size)), [&](Value *i, int n) {
      e.store(Type::f32, wide, i, e.load(spec.cache, cache, e.b.CreateAdd(first, i), n));
    });
    return {wide, e.i64(0)};
  }

  Value *broadcast(std::pair<Value *, Value *> from, Value *index) {
    return e.splat(e.load(Type::f32, from.first, e.b.CreateAdd(from.second, index)), lanes);
  }
  Value *sees(int w, Value *key) {
    return e.b.CreateICmpSLT(e.splat(e.b.CreateTrunc(key, e.b.getInt32Ty()), lanes), limits[size_t(w)]);
  }

  /// Scores of `count` keys, number `j` of the block the first; `largest` with them. key0: only where masked.
  Values scoreTile(std::pair<Value *, Value *> k, Value *j, int count, const Values &largest, Value *key0) {
    Value *first = e.b.CreateMul(j, e.i64(size));
    auto step = [&](Value *d, const Values &sums) {
      Values query, next;
      for (int w = 0; w < vectors; ++w) query.push_back(load(q, d, w));
      for (int i = 0; i < count; ++i) {
        Value *key = broadcast(k, e.b.CreateAdd(e.b.CreateAdd(first, d), e.i64(i * size)));
        for (int w = 0; w < vectors; ++w)
          next.push_back(e.fma(query[size_t(w)], key, sums[size_t(i * vectors + w)]));
      }
      return next;
    };
    constexpr int64_t kUnroll = 4;
    const int64_t whole = size / kUnroll * kUnroll;
    Values sums = e.loop(e.i64(0), e.i64(whole), kUnroll, Values(size_t(count * vectors), e.f32(0, lanes)),
                         [&](Value *d, const Values &now) {
                           Values next = now;
                           for (int64_t u = 0; u < kUnroll; ++u)
                             next = step(e.b.CreateAdd(d, e.i64(u)), next);
                           return next;
                         });
    for (int64_t d = whole; d < size; ++d) sums = step(e.i64(d), sums);
    Values next = largest;
    for (int i = 0; i < count; ++i)
      for (int w = 0; w < vectors; ++w) {
        Value *s = sums[size_t(i * vectors + w)], *row = e.b.CreateAdd(j, e.i64(i));
        if (key0) s = e.b.CreateSelect(sees(w, e.b.CreateAdd(key0, row)), s, e.f32(-kInfinity, lanes));
        store(p, row, w, s);
        next[size_t(w)] = e.maxOf(s, next[size_t(w)]);
      }
    return next;
  }

  /// acc[d, :] for `count` dimensions from d0 on.
  void accumulateTile(std::pair<Value *, Value *> v, Value *d0, int count, Value *n, const Values &factor,
                      Value *key0) {
    Values sums;
    for (int d = 0; d < count; ++d)
      for (int w = 0; w < vectors; ++w)
        sums.push_back(e.b.CreateFMul(load(acc, e.b.CreateAdd(d0, e.i64(d)), w), factor[size_t(w)]));
    sums = e.loop(e.i64(0), n, 1, sums, [&](Value *j, const Values &now) {
      Values weight, seen, next;
      for (int w = 0; w < vectors; ++w) {
        weight.push_back(load(p, j, w));
        seen.push_back(key0 ? sees(w, e.b.CreateAdd(key0, j)) : nullptr);
      }
      for (int d = 0; d < count; ++d) {
        Value *value = broadcast(v, e.b.CreateAdd(e.muladd(j, e.i64(size), d0), e.i64(d)));
        for (int w = 0; w < vectors; ++w) {
          Value *old = now[size_t(d * vectors + w)], *sum = e.fma(weight[size_t(w)], value, old);
          next.push_back(key0 ? e.b.CreateSelect(seen[size_t(w)], sum, old) : sum);
        }
      }
      return next;
    });
    for (int d = 0; d < count; ++d)
      for (int w = 0; w < vectors; ++w)
        store(acc, e.b.CreateAdd(d0, e.i64(d)), w, sums[size_t(d * vectors + w)]);
  }

  /// One block of n keys. State: m of each vector of queries, then l of each.
  Values keyBlock(Value *key0, Value *n, const Values &state, bool masked) {
    Value *mask = masked ? key0 : nullptr;
    auto k = rowsOf(in.k, key0, n);
    Value *whole = e.b.CreateAnd(n, e.i64(-int64_t(tile)));
    Values largest(state.begin(), state.begin() + vectors);
    largest = e.loop(e.i64(0), whole, tile, largest,
                     [&](Value *j, const Values &now) { return scoreTile(k, j, tile, now, mask); });
    if (masked)
      largest = e.loop(whole, n, 1, largest,
                       [&](Value *j, const Values &now) { return scoreTile(k, j, 1, now, mask); });
    Values base, factor, sums;
    for (int w = 0; w < vectors; ++w) {
      // Nothing but -inf so far: any finite maximum gives p = 0.
      Value *none = e.b.CreateFCmpOEQ(largest[size_t(w)], e.f32(-kInfinity, lanes));
      base.push_back(e.b.CreateSelect(none, e.f32(0, lanes), largest[size_t(w)]));
      factor.push_back(e.exp(e.b.CreateFSub(state[size_t(w)], base.back())));
      sums.push_back(e.b.CreateFMul(state[size_t(vectors + w)], factor.back()));
    }
    sums = e.loop(e.i64(0), n, 1, sums, [&](Value *j, const Values &now) {
      Values next;
      for (int w = 0; w < vectors; ++w) {
        Value *weight = e.exp(e.b.CreateFSub(load(p, j, w), base[size_t(w)]));
        store(p, j, w, weight);
        next.push_back(e.b.CreateFAdd(now[size_t(w)], weight));
      }
      return next;
    });
    auto v = rowsOf(in.v, key0, n);
    const int64_t tiled = size / tile * tile;
    e.loop(e.i64(0), e.i64(tiled), tile, [&](Value *d0) { accumulateTile(v, d0, tile, n, factor, mask); });
    if (tiled < size) accumulateTile(v, e.i64(tiled), int(size - tiled), n, factor, mask);
    largest.append(sums);
    return largest;
  }

  void run() {
    Value *first = in.limit(group, t);
    Value *last =
        in.limit(group, e.min(e.b.CreateAdd(t, e.i64(rows - 1)), e.b.CreateSub(in.queries, e.i64(1))));
    for (int w = 0; w < vectors; ++w) { // a limit grows by one from query to query, as far as `last`
      Value *steps = e.laneNumbers(spec.causal ? w * lanes : 0, spec.causal ? 1 : 0);
      // From the first query's own limit; one that is already cut off at the end is `last`.
      Value *grown = e.b.CreateAdd(e.splat(e.b.CreateTrunc(first, e.b.getInt32Ty()), lanes), steps);
      limits.push_back(e.min(grown, e.splat(e.b.CreateTrunc(last, e.b.getInt32Ty()), lanes)));
    }
    loadQueries();
    e.loop(e.i64(0), e.i64(size), 1, [&](Value *d) {
      for (int w = 0; w < vectors; ++w) store(acc, d, w, e.f32(0, lanes));
    });
    Values state(size_t(vectors), e.f32(-kInfinity, lanes));
    state.append(size_t(vectors), e.f32(0, lanes));
    Value *whole = e.b.CreateAnd(first, e.i64(-kKeys));
    state = e.loop(e.i64(0), whole, kKeys, state,
                   [&](Value *key0, const Values &now) { return keyBlock(key0, e.i64(kKeys), now, false); });
    state = e.loop(whole, last, kKeys, state, [&](Value *key0, const Values &now) {
      return keyBlock(key0, e.min(e.i64(kKeys), e.b.CreateSub(last, key0)), now, true);
    });
    Values inverse;
    for (int w = 0; w < vectors; ++w) { // an empty range gives zeros
      Value *some = e.b.CreateICmpSGT(limits[size_t(w)], e.laneNumbers(0, 0));
      inverse.push_back(e.b.CreateSelect(some, e.b.CreateFDiv(e.f32(1, lanes), state[size_t(vectors + w)]),
                                         e.f32(0, lanes)));
    }
    storeResults(inverse);
  }
};

} // namespace

int64_t attentionBlock(const Isa &isa) { return int64_t(kVectors) * isa.lanes; }

void emitAttentionBlock(const AttentionOperands &operands, Value *group, Value *t) {
  Emitter &e = operands.e;
  Value *left = e.b.CreateSub(operands.queries, t);
  e.ifElse(
      e.b.CreateICmpSGT(left, e.i64(e.lanes())),
      [&] {
        Blocks{operands, kVectors, group, t}.run();
      },
      [&] {
        Blocks{operands, 1, group, t}.run();
      });
}

} // namespace linnet::cpu
