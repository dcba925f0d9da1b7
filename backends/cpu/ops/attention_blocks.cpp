// Flash attention over a block of queries, one query in each lane. No sum crosses lanes, so a query's result does not
// depend on the other queries of its block. Keys are processed in blocks of kKeys:
//
//     s[j, :]  = sum_d q[d, :] k[j, d]              a tile of keys at a time, sums in registers
//     m'       = max(m, max_j s[j, :])              p[j, :] = e^(s[j, :] - m')
//     l'       = l e^(m - m') + sum_j p[j, :]
//     acc[d, :] = acc[d, :] e^(m - m') + sum_j p[j, :] v[j, d]     a tile of d at a time
//
// k[j, d] and v[j, d] are broadcast from memory. q, s, p and acc are transposed and on the stack. If keys and values
// are converted first, several blocks of queries share a block's conversion.
//
// Masks: a block of keys that no query of the block sees is skipped. If only some queries see a key, the other queries'
// scores are -infinity, and their sums stay unchanged even if the key holds NaN. A window masks keys before the ones
// that all queries see, too.
//
// Rounding to bf16: if the processor multiplies pairs of bf16, a word holds two factors, q and k of two d, p and v of
// two keys. On other processors the factors are f32 with the same values.
//
// Blocks of keys begin at multiples of kKeys, and masked blocks add in the same order as others. A query's result
// therefore depends on its position and its keys only, not on where its block or call begins.
#include "backends/cpu/ops/attention_factors.h"

#include <limits>

namespace linnet::cpu {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr int64_t kKeys = 64; ///< 16 KiB of f32 keys with 64 dimensions, which fit the first-level cache
/// The most blocks of queries that share a conversion, and the most elements of their queries. Their queries and sums
/// fit the second-level cache.
constexpr int64_t kSharing = 4, kSharedElements = 8192;
/// The most vectors of queries in a block. Each broadcast multiplies all of them. Without AVX-512 a block has more
/// queries if keys and values are converted to factors, because all of them share the conversion.
int mostVectors(const Isa &isa, const AttentionSpec &spec) {
  const bool converts = spec.cache != Type::f32 || spec.bf16_rows;
  return isa.registers < 32 && converts ? 4 : 2;
}

struct Blocks : AttentionFactors {
  const int vectors;
  const bool single; ///< only one block of queries
  const int64_t rows = int64_t(vectors) * lanes;
  /// Keys or dimensions of a tile. tile * vectors sums and as many operands fit the registers.
  const int tile = e.isa.registers >= 32 ? 8 : vectors == 4 ? 2 : 4;
  const int64_t sharing =
      single || !converts ? 1 : std::clamp<int64_t>(kSharedElements / (rows * size), 1, kSharing);
  const int64_t state_size = 2 * rows; ///< elements of the largest scores and the sums of a block of queries
  Value *all_q = e.scratch(sharing * size * rows), *all_acc = e.scratch(sharing * size * rows),
        *states = e.scratch(sharing * state_size), *p = e.scratch(std::max(kKeys, roundUp(size)) * rows);
  Value *wide_k = converts ? e.scratch(kKeys * size) : nullptr; ///< a block of k after conversion to factors
  Value *wide_v = converts ? e.scratch(kKeys * size) : nullptr;
  // The current block of queries: its number, its first query, its matrices.
  Value *t = nullptr, *q = nullptr, *acc = nullptr, *state = nullptr;
  Values limits = {}; ///< i32 vectors: the end of the keys that each lane's query sees
  Values begins = {}; ///< i32 vectors: the first key of each lane's window; empty without a window
  /// All queries see keys [all_begin, first). Only some see keys of [some_begin, all_begin) and [first, last).
  Value *some_begin = nullptr, *all_begin = nullptr, *first = nullptr, *last = nullptr;

  int64_t roundUp(int64_t n) const { return (n + lanes - 1) / lanes * lanes; }

  // --- transposed matrices on the stack: q, p, acc
  Value *at(Value *row, int vector) {
    return e.b.CreateAdd(e.b.CreateMul(row, e.i64(rows)), e.i64(int64_t(vector) * lanes));
  }
  Value *load(Value *from, Value *row, int vector) { return e.load(Type::f32, from, at(row, vector), lanes); }
  void store(Value *to, Value *row, int vector, Value *x) { e.store(Type::f32, to, at(row, vector), x); }
  Value *loadPair(Value *from, Value *row, int vector) {
    return e.load(Type::i32, from, at(row, vector), lanes);
  }
  void storePair(Value *to, Value *row, int vector, Value *x) { e.store(Type::i32, to, at(row, vector), x); }
  /// Loads q times the scale. Lanes beyond the last query repeat it.
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
        for (int d = 0; d < count && !pairs; ++d)
          store(q, e.b.CreateAdd(c, e.i64(d)), w, factor(piece[size_t(d)]));
        for (int d = 0; d < count && pairs; d += 2)
          storePair(q, e.b.CreateLShr(e.b.CreateAdd(c, e.i64(d)), 1), w,
                    e.bfloatPair(piece[size_t(d)], piece[size_t(d + 1)]));
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

  Value *broadcast(const Rows &from, Value *index, Type type = Type::f32) {
    return e.splat(e.load(type, from.base, e.b.CreateAdd(from.first, index)), lanes);
  }
  /// sum + vector * scalar: a vector of q or p, a broadcast element of k or v. Words of pairs add two products.
  Value *multiplyAdd(Value *vector, Value *scalar, Value *sum, bool of_pairs) {
    return of_pairs ? e.dotBfloatPairs(sum, vector, scalar) : e.fma(vector, scalar, sum);
  }
  Value *sees(int w, Value *key) {
    Value *number = e.splat(e.b.CreateTrunc(key, e.b.getInt32Ty()), lanes);
    Value *before_end = e.b.CreateICmpSLT(number, limits[size_t(w)]);
    if (begins.empty()) return before_end;
    return e.b.CreateAnd(before_end, e.b.CreateICmpSGE(number, begins[size_t(w)]));
  }

  /// Stores the scores of `count` keys of the block from key j on, and returns the maximum of `largest` and them. key0
  /// is null if no key is masked. With a cap, the stored scores are not capped yet, and `largest` is returned
  /// unchanged.
  Values scoreTile(const Rows &k, Value *j, int count, const Values &largest, Value *key0) {
    const int64_t length = pairs ? size / 2 : size; ///< elements or words of a row of k
    Value *first = e.b.CreateMul(j, e.i64(length));
    auto step = [&](Value *d, const Values &sums) {
      Values query, next;
      for (int w = 0; w < vectors; ++w) query.push_back(pairs ? loadPair(q, d, w) : load(q, d, w));
      for (int i = 0; i < count; ++i) {
        Value *at = e.b.CreateAdd(e.b.CreateAdd(first, d), e.i64(i * length));
        Value *key = broadcast(k, at, pairs ? Type::i32 : Type::f32);
        for (int w = 0; w < vectors; ++w)
          next.push_back(multiplyAdd(query[size_t(w)], key, sums[size_t(i * vectors + w)], pairs));
      }
      return next;
    };
    constexpr int64_t kUnroll = 4;
    const int64_t whole = length / kUnroll * kUnroll;
    Values sums = e.loop(e.i64(0), e.i64(whole), kUnroll, Values(size_t(count * vectors), e.f32(0, lanes)),
                         [&](Value *d, const Values &now) {
                           Values next = now;
                           for (int64_t u = 0; u < kUnroll; ++u)
                             next = step(e.b.CreateAdd(d, e.i64(u)), next);
                           return next;
                         });
    for (int64_t d = whole; d < length; ++d) sums = step(e.i64(d), sums);
    Values next = largest;
    for (int i = 0; i < count; ++i)
      for (int w = 0; w < vectors; ++w) {
        Value *s = sums[size_t(i * vectors + w)], *row = e.b.CreateAdd(j, e.i64(i));
        if (spec.cap != 0) {
          store(p, row, w, s);
          continue;
        }
        if (key0) s = e.b.CreateSelect(sees(w, e.b.CreateAdd(key0, row)), s, e.f32(-kInfinity, lanes));
        store(p, row, w, s);
        next[size_t(w)] = e.maxOf(s, next[size_t(w)]);
      }
    return next;
  }

  /// Caps the stored scores of n keys and returns the maximum of `largest` and them. A separate loop, because tanh
  /// inlined in every tile would be long code.
  Values capScores(Value *n, const Values &largest, Value *key0) {
    return e.loop(e.i64(0), n, 1, largest, [&](Value *j, const Values &now) {
      Values next;
      for (int w = 0; w < vectors; ++w) {
        Value *s = in.capped(load(p, j, w));
        if (key0) s = e.b.CreateSelect(sees(w, e.b.CreateAdd(key0, j)), s, e.f32(-kInfinity, lanes));
        store(p, j, w, s);
        next.push_back(e.maxOf(s, now[size_t(w)]));
      }
      return next;
    });
  }

  /// A mask of the halves of a word of two keys, key and key + 1, that each lane's query sees.
  Value *seenHalves(int w, Value *key) {
    auto half = [&](Value *number, uint64_t bits) {
      return e.b.CreateSelect(sees(w, number), e.splat(e.b.getInt32(uint32_t(bits)), lanes),
                              e.splat(e.b.getInt32(0), lanes));
    };
    constexpr uint64_t kLow = 0xFFFF, kHigh = 0xFFFF0000;
    return e.b.CreateOr(half(key, kLow), half(e.b.CreateAdd(key, e.i64(1)), kHigh));
  }

  /// Updates acc[d, :] for `count` dimensions from d0 on. key0 is null if no key is masked. Keys that a query does not
  /// see leave its sums unchanged, even if they hold NaN.
  void accumulateTile(const Rows &v, Value *d0, int count, Value *n, const Values &shrink, Value *key0) {
    const bool of_pairs = pairs;
    Values sums;
    for (int d = 0; d < count; ++d)
      for (int w = 0; w < vectors; ++w)
        sums.push_back(e.b.CreateFMul(load(acc, e.b.CreateAdd(d0, e.i64(d)), w), shrink[size_t(w)]));
    Value *rows_of_v = of_pairs ? e.b.CreateLShr(e.b.CreateAdd(n, e.i64(1)), 1) : n;
    sums = e.loop(e.i64(0), rows_of_v, 1, sums, [&](Value *j, const Values &now) {
      Values weight, seen, next;
      for (int w = 0; w < vectors; ++w) {
        weight.push_back(of_pairs ? loadPair(p, j, w) : load(p, j, w));
        if (!key0) continue;
        seen.push_back(of_pairs ? seenHalves(w, e.muladd(j, e.i64(2), key0))
                                : sees(w, e.b.CreateAdd(key0, j)));
      }
      for (int d = 0; d < count; ++d) {
        Value *at = e.b.CreateAdd(e.muladd(j, e.i64(size), d0), e.i64(d));
        Value *value = broadcast(v, at, of_pairs ? Type::i32 : Type::f32);
        for (int w = 0; w < vectors; ++w) {
          Value *old = now[size_t(d * vectors + w)];
          Value *seen_value = key0 && of_pairs ? e.b.CreateAnd(value, seen[size_t(w)]) : value;
          Value *sum = multiplyAdd(weight[size_t(w)], seen_value, old, of_pairs);
          next.push_back(key0 && !of_pairs ? e.b.CreateSelect(seen[size_t(w)], sum, old) : sum);
        }
      }
      return next;
    });
    for (int d = 0; d < count; ++d)
      for (int w = 0; w < vectors; ++w)
        store(acc, e.b.CreateAdd(d0, e.i64(d)), w, sums[size_t(d * vectors + w)]);
  }

  /// Replaces s[j, :] by p[j, :] and returns l: `sums` plus the sum of p over all keys.
  Values weigh(Value *n, const Values &base, Values sums) {
    return e.loop(e.i64(0), n, 1, std::move(sums), [&](Value *j, const Values &now) {
      Values next;
      for (int w = 0; w < vectors; ++w) {
        Value *weight = factor(e.exp(e.b.CreateFSub(load(p, j, w), base[size_t(w)])));
        store(p, j, w, weight);
        next.push_back(e.b.CreateFAdd(now[size_t(w)], weight));
      }
      return next;
    });
  }
  /// weigh() for words of two keys.
  Values weighPairs(Value *n, const Values &base, Values sums) {
    return e.loop(e.i64(0), n, 2, std::move(sums), [&](Value *j, const Values &now) {
      Values next;
      for (int w = 0; w < vectors; ++w) {
        Value *x = e.exp(e.b.CreateFSub(load(p, j, w), base[size_t(w)]));
        Value *y = e.exp(e.b.CreateFSub(load(p, e.b.CreateAdd(j, e.i64(1)), w), base[size_t(w)]));
        Value *pair = e.bfloatPair(x, y);
        storePair(p, e.b.CreateLShr(j, 1), w, pair);
        Value *sum = e.b.CreateFAdd(now[size_t(w)], e.lowBfloat(pair));
        next.push_back(e.b.CreateFAdd(sum, e.highBfloat(pair)));
      }
      return next;
    });
  }

  Values loadState() {
    Values found;
    for (int i = 0; i < 2 * vectors; ++i)
      found.push_back(e.load(Type::f32, state, e.i64(int64_t(i) * lanes), lanes));
    return found;
  }
  void storeState(const Values &values) {
    for (int i = 0; i < 2 * vectors; ++i)
      e.store(Type::f32, state, e.i64(int64_t(i) * lanes), values[size_t(i)]);
  }

  /// Processes one block of n keys for the current block of queries. The state is m of each vector of queries, then l
  /// of each.
  void keyBlock(const Rows &k, const Rows &v, Value *key0, Value *n, bool masked) {
    const Values state = loadState();
    Value *mask = masked ? key0 : nullptr;
    Value *whole = e.b.CreateAnd(n, e.i64(-int64_t(tile)));
    Values largest(state.begin(), state.begin() + vectors);
    largest = e.loop(e.i64(0), whole, tile, largest,
                     [&](Value *j, const Values &now) { return scoreTile(k, j, tile, now, mask); });
    if (masked)
      largest = e.loop(whole, n, 1, largest,
                       [&](Value *j, const Values &now) { return scoreTile(k, j, 1, now, mask); });
    if (spec.cap != 0) largest = capScores(n, largest, mask);
    Values base, shrink, sums;
    for (int w = 0; w < vectors; ++w) {
      // If all scores so far are -inf, any finite base gives p = 0.
      Value *none = e.b.CreateFCmpOEQ(largest[size_t(w)], e.f32(-kInfinity, lanes));
      base.push_back(e.b.CreateSelect(none, e.f32(0, lanes), largest[size_t(w)]));
      shrink.push_back(e.exp(e.b.CreateFSub(state[size_t(w)], base.back())));
      sums.push_back(e.b.CreateFMul(state[size_t(vectors + w)], shrink.back()));
    }
    if (pairs && masked) // an odd n: no query sees the second key of the last pair
      e.ifThen(e.b.CreateICmpNE(e.b.CreateAnd(n, e.i64(1)), e.i64(0)), [&] {
        for (int w = 0; w < vectors; ++w) store(p, n, w, e.f32(-kInfinity, lanes));
      });
    sums = pairs ? weighPairs(n, base, sums) : weigh(n, base, sums);
    const int64_t tiled = size / tile * tile;
    e.loop(e.i64(0), e.i64(tiled), tile, [&](Value *d0) { accumulateTile(v, d0, tile, n, shrink, mask); });
    if (tiled < size) accumulateTile(v, e.i64(tiled), int(size - tiled), n, shrink, mask);
    largest.append(sums);
    storeState(largest);
  }

  /// Makes the block of queries from `from` on the current one, the `number`th that shares conversions.
  void setQueries(Value *number, Value *from) {
    t = from;
    auto part = [&](Value *all, int64_t elements) { // a constant address needs no register
      return sharing == 1 ? all : e.address(Type::f32, all, e.b.CreateMul(number, e.i64(elements)));
    };
    q = part(all_q, size * rows), acc = part(all_acc, size * rows), state = part(states, state_size);
    Value *last_query = e.min(e.b.CreateAdd(t, e.i64(rows - 1)), e.b.CreateSub(in.queries, e.i64(1)));
    first = in.limit(group, t), last = in.limit(group, last_query);
    limits.clear(), begins.clear();
    for (int w = 0; w < vectors; ++w) { // causal limits grow by one from query to query, up to `last`
      Value *steps = e.laneNumbers(spec.causal ? w * lanes : 0, spec.causal ? 1 : 0);
      // The limits start at the first query's own limit. If the length cuts it off, it equals `last`.
      Value *grown = e.b.CreateAdd(e.splat(e.b.CreateTrunc(first, e.b.getInt32Ty()), lanes), steps);
      limits.push_back(e.min(grown, e.splat(e.b.CreateTrunc(last, e.b.getInt32Ty()), lanes)));
    }
    some_begin = all_begin = e.i64(0);
    if (!spec.window) return;
    Value *begin = in.windowBegin(group, t);
    for (int w = 0; w < vectors; ++w) {
      Value *from = e.splat(e.b.CreateTrunc(begin, e.b.getInt32Ty()), lanes);
      begins.push_back(e.max(e.b.CreateAdd(from, e.laneNumbers(w * lanes, 1)), e.laneNumbers(0, 0)));
    }
    some_begin = e.min(e.max(begin, e.i64(0)), last);
    all_begin = e.min(e.max(in.windowBegin(group, last_query), e.i64(0)), last);
  }

  void begin() {
    loadQueries();
    e.loop(e.i64(0), e.i64(size), 1, [&](Value *d) {
      for (int w = 0; w < vectors; ++w) store(acc, d, w, e.f32(0, lanes));
    });
    Values none(size_t(vectors), e.f32(-kInfinity, lanes));
    none.append(size_t(vectors), e.f32(0, lanes));
    storeState(none);
  }

  /// Adds the keys of a block that the current queries see.
  void addKeys(const Rows &k, const Rows &v, Value *key0) {
    Value *end = e.b.CreateAdd(key0, e.i64(kKeys));
    Value *sees_some = e.b.CreateAnd(e.b.CreateICmpSLT(key0, last), e.b.CreateICmpSGT(end, some_begin));
    Value *sees_all = e.b.CreateAnd(e.b.CreateICmpSLE(end, first), e.b.CreateICmpSGE(key0, all_begin));
    e.ifThen(sees_some, [&] {
      e.ifElse(
          sees_all, [&] { keyBlock(k, v, key0, e.i64(kKeys), false); },
          [&] { keyBlock(k, v, key0, e.min(e.i64(kKeys), e.b.CreateSub(last, key0)), true); });
    });
  }

  void finish() {
    const Values found = loadState();
    Values inverse;
    for (int w = 0; w < vectors; ++w) { // a query that sees no key gets zeros
      Value *begin = spec.window ? begins[size_t(w)] : e.laneNumbers(0, 0);
      Value *some = e.b.CreateICmpSGT(limits[size_t(w)], begin);
      inverse.push_back(e.b.CreateSelect(some, e.b.CreateFDiv(e.f32(1, lanes), found[size_t(vectors + w)]),
                                         e.f32(0, lanes)));
    }
    storeResults(inverse);
  }

  /// Computes `blocks` blocks of queries from `from` on. Later queries see no fewer keys at the end and no more at the
  /// beginning.
  void run(Value *from, Value *blocks) {
    auto forBlocks = [&](llvm::function_ref<void()> body) {
      e.loop(e.i64(0), blocks, 1, [&](Value *number) {
        setQueries(number, e.muladd(number, e.i64(rows), from));
        body();
      });
    };
    forBlocks([&] { begin(); });
    setQueries(e.i64(0), from);
    Value *begin_of_all = e.b.CreateAnd(some_begin, e.i64(-kKeys));
    setQueries(e.i64(0), e.muladd(e.b.CreateSub(blocks, e.i64(1)), e.i64(rows), from));
    Value *end_of_all = last;
    e.loop(begin_of_all, end_of_all, kKeys, [&](Value *key0) {
      Value *n = e.min(e.i64(kKeys), e.b.CreateSub(end_of_all, key0));
      const Rows k = pairs ? columnPairsOf(in.k, wide_k, key0, n) : rowsOf(in.k, wide_k, key0, n);
      const Rows v = pairs ? keyPairsOf(in.v, wide_v, key0, n) : rowsOf(in.v, wide_v, key0, n);
      forBlocks([&] { addKeys(k, v, key0); });
    });
    forBlocks([&] { finish(); });
  }
};

} // namespace

int64_t attentionBlock(const Isa &isa, const AttentionSpec &spec) {
  return int64_t(mostVectors(isa, spec)) * isa.lanes;
}

void emitAttentionBlocks(const AttentionOperands &operands, Value *group, Value *from, Value *to,
                         bool rounds) {
  Emitter &e = operands.e;
  const int most = mostVectors(e.isa, operands.spec);
  const int64_t rows = int64_t(most) * e.lanes();
  // The last block has fewer vectors if half of them hold its queries.
  Value *whole = e.b.CreateAnd(e.b.CreateAdd(operands.queries, e.i64(rows / 2 - 1)), e.i64(-rows));
  whole = e.min(whole, e.b.CreateAnd(e.b.CreateAdd(to, e.i64(rows - 1)), e.i64(-rows)));
  Blocks blocks{{operands, group, rounds}, most, false};
  e.loop(from, whole, rows * blocks.sharing, [&](Value *t) {
    Value *left = e.b.CreateSDiv(e.b.CreateSub(whole, t), e.i64(rows));
    blocks.run(t, e.min(left, e.i64(blocks.sharing)));
  });
  auto emit = [&](int vectors, auto &&self) -> void {
    if (vectors == 1) return Blocks{{operands, group, rounds}, 1, true}.run(whole, e.i64(1));
    Value *left = e.b.CreateSub(operands.queries, whole);
    e.ifElse(
        e.b.CreateICmpSGT(left, e.i64(int64_t(vectors / 2) * e.lanes())),
        [&] {
          Blocks{{operands, group, rounds}, vectors, true}.run(whole, e.i64(1));
        },
        [&] { self(vectors / 2, self); });
  };
  whole = e.max(whole, from);
  e.ifThen(e.b.CreateICmpSLT(whole, to), [&] { emit(most / 2, emit); });
}

} // namespace linnet::cpu
