// Attention of one query over a cache. Keys are processed in blocks of one vector, with one key's score in each lane.
// The state is the running maximum m, the sum l (one partial sum in each lane) and the weighted sum of values:
//
//     s = scale * q . k_j          m' = max(m, max s)     p = e^(s - m')
//     l' = l e^(m - m') + p        acc' = acc e^(m - m') + sum_j p_j v_j
#include "backends/cpu/ops/attention.h"

#include <limits>

namespace linnet::cpu {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct OneQuery {
  const AttentionOperands &in;
  Value *group;
  Emitter &e = in.e;
  const AttentionSpec &spec = in.spec;
  const int lanes = e.lanes();
  const int pieces = int((spec.head_size + lanes - 1) / lanes); ///< vectors of a head's row
  Value *weights = e.scratch(lanes);                            ///< p of the current block
  Value *keys = in.keysAt(group);
  Values query = {};
  Value *ahead = nullptr; ///< bytes from a row to the row of the same key in the head that is read next

  int pieceSize(int c) const { return int(std::min<int64_t>(lanes, spec.head_size - int64_t(c) * lanes)); }
  Value *piece(Type type, Value *base, Value *row0, int c) {
    return e.loadPart(type, base, e.b.CreateAdd(row0, e.i64(int64_t(c) * lanes)), pieceSize(c));
  }

  /// Scores of `lanes` keys, one in each lane. rowOf(j) returns the first element of key j.
  Value *scores(llvm::function_ref<Value *(int)> rowOf) {
    Value *sums = e.transposeSum([&](int j) {
      Value *key = rowOf(j);
      fetchNextHead(in.k, key);
      Value *sum = e.b.CreateFMul(query[0], piece(spec.cache, in.k, key, 0));
      for (int c = 1; c < pieces; ++c) sum = e.fma(query[size_t(c)], piece(spec.cache, in.k, key, c), sum);
      return sum;
    });
    return in.capped(e.b.CreateFMul(sums, e.f32(spec.scale, lanes)));
  }

  /// Rescales the state {m, l, acc...} to a new maximum, and stores p in `weights`.
  void rescale(Values &state, Value *s) {
    Value *largest = e.maxOf(e.maxLanes(s), state[0]);
    // If all scores so far are -inf, any finite base gives p = 0.
    Value *base = e.b.CreateSelect(e.b.CreateFCmpOEQ(largest, e.f32(-kInfinity)), e.f32(0), largest);
    Value *factor = e.splat(e.exp(e.b.CreateFSub(state[0], base)), lanes);
    Value *p = e.exp(e.b.CreateFSub(s, e.splat(base, lanes)));
    e.store(Type::f32, weights, e.i64(0), p);
    state[0] = largest;
    state[1] = e.fma(state[1], factor, p);
    for (int c = 0; c < pieces; ++c) state[size_t(2 + c)] = e.b.CreateFMul(state[size_t(2 + c)], factor);
  }

  void accumulate(Values &state, Value *j, Value *row) {
    fetchNextHead(in.v, row);
    Value *p = e.splat(e.load(Type::f32, weights, j), lanes);
    for (int c = 0; c < pieces; ++c)
      state[size_t(2 + c)] = e.fma(p, piece(spec.cache, in.v, row, c), state[size_t(2 + c)]);
  }

  /// Prefetches the row of the same key in the head that is read next. The processor's prefetchers need more rows than
  /// a head has. Prefetching all rows at once would delay the loads of this head.
  void fetchNextHead(Value *cache, Value *row) {
    const int64_t size = sizeOf(spec.cache), bytes = spec.head_size * size;
    Value *next = e.b.CreateAdd(ahead, e.b.CreateMul(row, e.i64(size)));
    for (int64_t line = 0; line < bytes; line += 64)
      e.prefetch(e.address(Type::i8, cache, e.b.CreateAdd(next, e.i64(line))));
  }

  Value *keyRow(Value *key) { return e.muladd(key, e.i64(spec.head_size), keys); }

  Values wholeBlock(Value *key0, Values state) {
    auto rowOf = [&](int j) { return keyRow(e.b.CreateAdd(key0, e.i64(j))); };
    rescale(state, scores(rowOf));
    for (int j = 0; j < lanes; ++j) accumulate(state, e.i64(j), rowOf(j));
    return state;
  }

  /// Processes the last block. Keys from `limit` on are not read.
  Values lastBlock(Value *key0, Value *limit, Values state) {
    Value *last = e.b.CreateSub(limit, e.i64(1));
    auto rowOf = [&](int j) { return keyRow(e.min(e.b.CreateAdd(key0, e.i64(j)), last)); };
    Value *count = e.b.CreateSub(limit, key0);
    Value *seen =
        e.b.CreateICmpSLT(e.laneNumbers(0, 1), e.splat(e.b.CreateTrunc(count, e.b.getInt32Ty()), lanes));
    rescale(state, e.b.CreateSelect(seen, scores(rowOf), e.f32(-kInfinity, lanes)));
    return e.loop(e.i64(0), count, 1, state, [&](Value *j, const Values &now) {
      Values next = now;
      accumulate(next, j, keyRow(e.b.CreateAdd(key0, j)));
      return next;
    });
  }

  /// Elements of a stored state: m (the first element of a vector), l, acc.
  int64_t stateSize() const { return int64_t(2 + pieces) * lanes; }
  Values initialState() {
    Values state = {e.f32(-kInfinity)};
    state.append(size_t(1 + pieces), e.f32(0, lanes));
    return state;
  }
  void storeState(Value *to, Value *at, const Values &state) {
    for (size_t i = 0; i < state.size(); ++i)
      e.store(Type::f32, to, e.b.CreateAdd(at, e.i64(int64_t(i) * lanes)), state[i]);
  }
  Values loadState(Value *from, Value *at) {
    Values state;
    for (int i = 0; i < 2 + pieces; ++i)
      state.push_back(e.load(Type::f32, from, e.b.CreateAdd(at, e.i64(int64_t(i) * lanes)), i ? lanes : 1));
    return state;
  }

  void loadQuery() {
    Value *q0 = in.queryAt(group, e.i64(0));
    for (int c = 0; c < pieces; ++c) query.push_back(piece(spec.type, in.q, q0, c));
  }

  /// The keys that the query sees: [first, whole) in whole blocks, [whole, limit) in the last block.
  struct Keys {
    Value *first, *whole, *limit;
  };
  Keys seenKeys(Value *limit) {
    Value *first = e.i64(0), *count = limit;
    if (spec.window) {
      first = e.min(e.max(in.windowBegin(group, e.i64(0)), e.i64(0)), limit);
      count = e.b.CreateSub(limit, first);
    }
    Value *whole = e.b.CreateAnd(count, e.i64(-int64_t(lanes)));
    return {first, spec.window ? e.b.CreateAdd(first, whole) : whole, limit};
  }

  void finish(const Values &state, const Keys &seen) {
    Value *some = e.b.CreateICmpSGT(seen.limit, seen.first); // a query that sees no key gets zeros
    Value *inverse =
        e.splat(e.b.CreateSelect(some, e.b.CreateFDiv(e.f32(1), e.sumLanes(state[1])), e.f32(0)), lanes);
    Value *row = in.resultAt(group, e.i64(0));
    for (int c = 0; c < pieces; ++c)
      e.storePart(spec.type, in.out, e.b.CreateAdd(row, e.i64(int64_t(c) * lanes)),
                  e.b.CreateFMul(state[size_t(2 + c)], inverse), pieceSize(c));
  }

  Value *bytesOfHead() { return e.b.CreateMul(in.capacity, e.i64(spec.head_size * sizeOf(spec.cache))); }

  void run() {
    ahead = bytesOfHead();
    Value *limit = in.limit(group, e.i64(0));
    loadQuery();
    Values state = initialState();
    const Keys seen = seenKeys(limit);
    state = e.loop(seen.first, seen.whole, lanes, state,
                   [&](Value *key0, const Values &now) { return wholeBlock(key0, now); });
    state = e.loop(seen.whole, limit, lanes, state,
                   [&](Value *key0, const Values &now) { return lastBlock(key0, limit, now); });
    finish(state, seen);
  }
};

/// One query of each head in [first, first + count), which share a key head. All heads read a block of keys and values
/// before the next block, so that memory is read once. The heads' states are on the stack.
struct OneQueryOfHeads {
  const AttentionOperands &in;
  Emitter &e = in.e;
  Value *states = nullptr;

  void forHeads(Value *first, Value *count, llvm::function_ref<void(OneQuery &, Value *, Value *)> body) {
    e.loop(e.i64(0), count, 1, [&](Value *i) {
      OneQuery one{in, e.b.CreateAdd(first, i)};
      body(one, i, e.b.CreateMul(i, e.i64(one.stateSize())));
    });
  }

  void run(Value *first, Value *count) {
    OneQuery any{in, first};
    states = e.scratch(any.stateSize() * in.spec.key_group);
    const OneQuery::Keys seen = any.seenKeys(in.limit(first, e.i64(0)));
    forHeads(first, count,
             [&](OneQuery &one, Value *, Value *at) { one.storeState(states, at, one.initialState()); });
    Value *last = e.b.CreateSub(count, e.i64(1)), *of_head = any.bytesOfHead();
    auto block = [&](llvm::function_ref<Values(OneQuery &, const Values &)> body) {
      forHeads(first, count, [&](OneQuery &one, Value *i, Value *at) {
        // After the last head, the next keys are those of another key head.
        one.ahead = e.b.CreateSelect(e.b.CreateICmpEQ(i, last), of_head, e.i64(0));
        one.loadQuery();
        one.storeState(states, at, body(one, one.loadState(states, at)));
      });
    };
    e.loop(seen.first, seen.whole, e.lanes(), [&](Value *key0) {
      block([&](OneQuery &one, const Values &now) { return one.wholeBlock(key0, now); });
    });
    e.loop(seen.whole, seen.limit, e.lanes(), [&](Value *key0) {
      block([&](OneQuery &one, const Values &now) { return one.lastBlock(key0, seen.limit, now); });
    });
    forHeads(first, count,
             [&](OneQuery &one, Value *, Value *at) { one.finish(one.loadState(states, at), seen); });
  }
};

/// Computes one query of each head of the kernel's range.
void emitOneQueries(const AttentionOperands &in) {
  Emitter &e = in.e;
  const int64_t group = in.spec.key_group;
  if (group == 1) return e.loop(e.begin, e.end, 1, [&](Value *head) { OneQuery{in, head}.run(); });
  // The range may begin or end inside a group of heads that share a key head.
  Value *first_group = e.b.CreateSDiv(e.begin, e.i64(group));
  Value *end_group = e.b.CreateSDiv(e.b.CreateAdd(e.end, e.i64(group - 1)), e.i64(group));
  e.loop(first_group, end_group, 1, [&](Value *number) {
    Value *whole = e.b.CreateMul(number, e.i64(group));
    Value *first = e.max(whole, e.begin), *end = e.min(e.b.CreateAdd(whole, e.i64(group)), e.end);
    OneQueryOfHeads{in}.run(first, e.b.CreateSub(end, first));
  });
}

/// Computes the blocks whose first query is in the kernel's range. The call that has the first query computes the whole
/// block, so that blocks are the same for every split.
void emitBlocks(const AttentionOperands &in, bool rounds) {
  Emitter &e = in.e;
  const int64_t rows = attentionBlock(e.isa, in.spec);
  e.forRuns(in.queries, [&](Value *group, Value *from, Value *to) {
    Value *first = e.b.CreateAnd(e.b.CreateAdd(from, e.i64(rows - 1)), e.i64(-rows));
    emitAttentionBlocks(in, group, first, to, rounds);
  });
}

void emitAllBlocks(const AttentionOperands &in) {
  Emitter &e = in.e;
  const int64_t from = in.spec.bf16_rows;
  if (from <= 2) return emitBlocks(in, from > 0); // this function is called for at least two queries
  e.ifElse(
      e.b.CreateICmpSGE(in.queries, e.i64(from)), [&] { emitBlocks(in, true); },
      [&] { emitBlocks(in, false); });
}

} // namespace

/// The call that has the first row of a block computes the whole block.
template <> void emit(Emitter &e, const AttentionSpec &spec) {
  const AttentionOperands operands(e, spec);
  if (spec.bf16_rows == 1) return emitBlocks(operands, true);
  e.ifElse(
      e.b.CreateICmpEQ(operands.queries, e.i64(1)), [&] { emitOneQueries(operands); },
      [&] { emitAllBlocks(operands); });
}
template <> Work workOf(const AttentionSpec &spec) { return {.items = spec.rows()}; }

template <> void emit(Emitter &e, const MaskSpec &spec) {
  using Operand = MaskSpec::Operand;
  Value *x = e.arg(spec, Operand::x), *out = e.arg(spec, Operand::out);
  Value *queries = e.extent(spec.queries), *capacity = e.extent(spec.capacity);
  Value *rows = e.b.CreateMul(e.extent(spec.heads), queries); // rows of one sequence
  e.loop(e.begin, e.end, 1, [&](Value *row) {
    Value *batch = e.b.CreateSDiv(row, rows), *t = e.b.CreateSRem(row, queries);
    Value *seen = spec.past ? e.loadIndex(e.arg(spec, Operand::past), batch) : e.i64(0);
    Value *limit = e.b.CreateAdd(seen, spec.causal ? e.b.CreateAdd(t, e.i64(1)) : queries);
    if (spec.length)
      limit = e.min(limit, e.b.CreateAdd(seen, e.loadIndex(e.arg(spec, Operand::length), batch)));
    limit = e.max(e.min(limit, capacity), e.i64(0));
    Value *base = e.b.CreateMul(row, capacity), *first = e.i64(0);
    auto hide = [&](Value *from, Value *to) {
      e.forVectors(from, to, [&](Value *j, int lanes) {
        e.store(spec.type, out, e.b.CreateAdd(base, j), e.f32(-kInfinity, lanes));
      });
    };
    if (spec.window) {
      first = e.b.CreateAdd(e.b.CreateAdd(seen, t), e.i64(1 - spec.window));
      first = e.min(e.max(first, e.i64(0)), limit);
      hide(e.i64(0), first);
    }
    e.forVectors(first, limit, [&](Value *j, int lanes) {
      Value *at = e.b.CreateAdd(base, j);
      e.copy(spec.type, out, at, x, at, lanes);
    });
    hide(limit, capacity);
  });
}
template <> Work workOf(const MaskSpec &spec) { return {.items = spec.rows()}; }

template SizedKernel kernelOf(const AttentionSpec &);
template SizedKernel kernelOf(const MaskSpec &);

} // namespace linnet::cpu
