// Attention of one query over a cache: keys go by in blocks of one vector, scores of a block stand one key a
// lane. Kept are the running maximum m, the sum l (one part a lane) and the weighted sum of values:
//
//     s = scale * q . k_j          m' = max(m, max s)     p = e^(s - m')
//     l' = l e^(m - m') + p        acc' = acc e^(m - m') + sum_j p_j v_j
#include "backends/cpu/attention.h"

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
  Value *weights = e.scratch(lanes);                            ///< p of a block
  Value *keys = in.keysAt(group);
  Values query = {};
  Value *ahead = nullptr; ///< bytes from a row to the same one of the head that is read next

  int pieceSize(int c) const { return int(std::min<int64_t>(lanes, spec.head_size - int64_t(c) * lanes)); }
  Value *piece(Type type, Value *base, Value *row0, int c) {
    return e.loadPart(type, base, e.b.CreateAdd(row0, e.i64(int64_t(c) * lanes)), pieceSize(c));
  }

  /// Scores of `lanes` keys, one a lane; key j's row is given by rowOf(j).
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

  /// State {m, l, acc...} rescaled to a new maximum; p goes to memory.
  void rescale(Values &state, Value *s) {
    Value *largest = e.maxOf(e.maxLanes(s), state[0]);
    // Nothing but -inf so far: any finite maximum gives p = 0.
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

  /// Prefetches the key of the same number of the head that is read next. Rows of one head are too few for the
  /// processor's prefetchers. All of them at once would delay the loads of this head.
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

  /// The block at the end: nothing behind `limit` is read.
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

  void run() {
    Value *of_head = e.b.CreateMul(in.capacity, e.i64(spec.head_size * sizeOf(spec.cache)));
    ahead = of_head;
    if (spec.key_group > 1) { // only the last head of a group is followed by other keys
      Value *place = e.b.CreateSRem(group, e.i64(spec.key_group));
      Value *is_last = e.b.CreateICmpEQ(place, e.i64(spec.key_group - 1));
      ahead = e.b.CreateSelect(is_last, of_head, e.i64(0));
    }
    Value *limit = in.limit(group, e.i64(0)), *q0 = in.queryAt(group, e.i64(0));
    for (int c = 0; c < pieces; ++c) query.push_back(piece(spec.type, in.q, q0, c));
    Values state = {e.f32(-kInfinity)};
    state.append(size_t(1 + pieces), e.f32(0, lanes));
    Value *first = e.i64(0), *keys_seen = limit;
    if (spec.window) {
      first = e.min(e.max(in.windowBegin(group, e.i64(0)), e.i64(0)), limit);
      keys_seen = e.b.CreateSub(limit, first);
    }
    Value *end_of_whole = e.b.CreateAnd(keys_seen, e.i64(-int64_t(lanes)));
    if (spec.window) end_of_whole = e.b.CreateAdd(first, end_of_whole);
    state = e.loop(first, end_of_whole, lanes, state,
                   [&](Value *key0, const Values &now) { return wholeBlock(key0, now); });
    state = e.loop(end_of_whole, limit, lanes, state,
                   [&](Value *key0, const Values &now) { return lastBlock(key0, limit, now); });
    Value *some = e.b.CreateICmpSGT(limit, first); // an empty range gives zeros
    Value *inverse =
        e.splat(e.b.CreateSelect(some, e.b.CreateFDiv(e.f32(1), e.sumLanes(state[1])), e.f32(0)), lanes);
    Value *row = in.resultAt(group, e.i64(0));
    for (int c = 0; c < pieces; ++c)
      e.storePart(spec.type, in.out, e.b.CreateAdd(row, e.i64(int64_t(c) * lanes)),
                  e.b.CreateFMul(state[size_t(2 + c)], inverse), pieceSize(c));
  }
};

/// Whoever holds a block's first query computes the block, so that no split makes blocks smaller.
void emitBlocks(const AttentionOperands &in, bool rounds) {
  Emitter &e = in.e;
  const int64_t rows = attentionBlock(e.isa);
  e.forRuns(in.queries, [&](Value *group, Value *from, Value *to) {
    Value *first = e.b.CreateAnd(e.b.CreateAdd(from, e.i64(rows - 1)), e.i64(-rows));
    e.loop(first, to, rows, [&](Value *t) { emitAttentionBlock(in, group, t, rounds); });
  });
}

void emitAllBlocks(const AttentionOperands &in) {
  Emitter &e = in.e;
  const int64_t from = in.spec.bf16_rows;
  if (from <= 2) return emitBlocks(in, from > 0); // there are two queries at least
  e.ifElse(
      e.b.CreateICmpSGE(in.queries, e.i64(from)), [&] { emitBlocks(in, true); },
      [&] { emitBlocks(in, false); });
}

} // namespace

KernelSource attentionKernel(const AttentionSpec &spec) {
  return {spec.key(Walk::range), [spec](Emitter &e) {
            const AttentionOperands operands(e, spec);
            if (spec.bf16_rows == 1) return emitBlocks(operands, true);
            e.ifElse(
                e.b.CreateICmpEQ(operands.queries, e.i64(1)),
                [&] { e.loop(e.begin, e.end, 1, [&](Value *group) {
                        OneQuery{operands, group}.run();
                      }); },
                [&] { emitAllBlocks(operands); });
          }};
}

KernelSource maskKernel(const MaskSpec &spec) {
  return {spec.key(Walk::range), [spec](Emitter &e) {
            using Operand = MaskSpec::Operand;
            Value *x = e.arg(spec, Operand::x), *out = e.arg(spec, Operand::out);
            Value *queries = e.extent(spec.queries), *capacity = e.extent(spec.capacity);
            Value *rows = e.b.CreateMul(e.extent(spec.heads), queries); // of one sequence
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
          }};
}

} // namespace linnet::cpu
