// Flash attention: for a block of queries of one head, keys go by in blocks of one vector. Scores of a block
// stand one key a lane; each query keeps its running maximum m, sum l (one part a lane) and weighted sum of
// values:
//
//     s = scale * q . k_j          m' = max(m, max s)     p = e^(s - m')
//     l' = l e^(m - m') + p        acc' = acc e^(m - m') + sum_j p_j v_j
//
// Blocks begin at key 0 for every query and a block whose keys are all masked changes no bit, so that a
// query's result does not depend on the queries beside it.
#include "backends/cpu/emitter.h"
#include "backends/cpu/kernels.h"

#include <bit>
#include <fmt/format.h>
#include <limits>

namespace linnet::cpu {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Attention {
  Emitter &e;
  const AttentionSpec &spec;
  const int lanes = e.lanes();
  const int pieces = int((spec.head_size + lanes - 1) / lanes); ///< vectors of a head's row
  Value *q = e.arg(0), *k = e.arg(1), *v = e.arg(2), *past = spec.past ? e.arg(3) : nullptr, *out = e.arg(4);
  Value *queries = e.extent(spec.queries), *heads = e.extent(spec.heads), *capacity = e.extent(spec.capacity);
  Value *weights = e.scratch(kAttentionGrain * e.lanes()); ///< p of a block, a row a query

  /// Where one block of queries stands.
  struct Block {
    int rows;
    Value *q0, *out0;                     ///< first element of the first query and of its result
    Value *keys;                          ///< first element of this head's k and v
    llvm::SmallVector<Value *, 4> limits; ///< keys that each query sees
  };
  /// Carried state: for each query m, l, then its accumulators.
  int stride() const { return 2 + pieces; }

  int pieceSize(int c) const { return int(std::min<int64_t>(lanes, spec.head_size - int64_t(c) * lanes)); }
  Value *piece(Type type, Value *base, Value *row0, int c) {
    return e.loadPart(type, base, e.b.CreateAdd(row0, e.i64(int64_t(c) * lanes)), pieceSize(c));
  }
  Value *q_stride = e.extent(spec.q_stride);

  /// Scores of `lanes` keys from key0 on, one a lane; key j's row is given by rowOf(j).
  Value *scores(const Block &block, int r, llvm::function_ref<Value *(int)> rowOf) {
    Value *row = e.muladd(e.i64(r), q_stride, block.q0);
    Values query;
    for (int c = 0; c < pieces; ++c) query.push_back(piece(spec.type, q, row, c));
    Value *sums = e.transposeSum([&](int j) {
      Value *key = rowOf(j);
      Value *sum = e.b.CreateFMul(query[0], piece(spec.cache, k, key, 0));
      for (int c = 1; c < pieces; ++c) sum = e.fma(query[c], piece(spec.cache, k, key, c), sum);
      return sum;
    });
    return e.b.CreateFMul(sums, e.f32(spec.scale, lanes));
  }

  /// m, l and accumulators of query r rescaled to a new maximum; p goes to memory.
  void rescale(Values &state, int r, Value *s) {
    Value *&m = state[r * stride()], *&l = state[r * stride() + 1];
    Value *largest = e.maxOf(e.maxLanes(s), m);
    // Nothing but -inf so far: any finite maximum gives p = 0.
    Value *base = e.b.CreateSelect(e.b.CreateFCmpOEQ(largest, e.f32(-kInfinity)), e.f32(0), largest);
    Value *factor = e.splat(e.exp(e.b.CreateFSub(m, base)), lanes);
    Value *p = e.exp(e.b.CreateFSub(s, e.splat(base, lanes)));
    e.store(Type::f32, weights, e.i64(int64_t(r) * lanes), p);
    l = e.fma(l, factor, p);
    m = largest;
    for (int c = 0; c < pieces; ++c) {
      Value *&acc = state[r * stride() + 2 + c];
      acc = e.b.CreateFMul(acc, factor);
    }
  }

  /// acc += p_j v_j for every query; `visible(r)` keeps a masked value out, even a NaN.
  void accumulate(Values &state, const Block &block, Value *j, Value *row,
                  llvm::function_ref<Value *(int)> visible) {
    Values values;
    for (int c = 0; c < pieces; ++c) values.push_back(piece(spec.cache, v, row, c));
    for (int r = 0; r < block.rows; ++r) {
      Value *p = e.splat(e.load(Type::f32, weights, e.b.CreateAdd(j, e.i64(int64_t(r) * lanes))), lanes);
      Value *keep = visible ? visible(r) : nullptr;
      for (int c = 0; c < pieces; ++c) {
        Value *&acc = state[r * stride() + 2 + c];
        Value *sum = e.fma(p, values[c], acc);
        acc = keep ? e.b.CreateSelect(keep, sum, acc) : sum;
      }
    }
  }

  Value *keyRow(const Block &block, Value *key) { return e.muladd(key, e.i64(spec.head_size), block.keys); }

  /// A block of keys that every query sees.
  Values wholeBlock(const Block &block, Value *key0, Values state) {
    auto rowOf = [&](int j) { return keyRow(block, e.b.CreateAdd(key0, e.i64(j))); };
    for (int r = 0; r < block.rows; ++r) rescale(state, r, scores(block, r, rowOf));
    for (int j = 0; j < lanes; ++j) accumulate(state, block, e.i64(j), rowOf(j), nullptr);
    return state;
  }

  /// A block at the edge: keys from a query's limit on count for nothing; none behind the last limit is read.
  Values edgeBlock(const Block &block, Value *key0, Value *last, Values state) {
    llvm::SmallVector<llvm::Constant *, 16> ids;
    for (int j = 0; j < lanes; ++j) ids.push_back(e.b.getInt64(j));
    Value *keys = e.b.CreateAdd(e.splat(key0, lanes), llvm::ConstantVector::get(ids));
    auto rowOf = [&](int j) {
      return keyRow(block, e.min(e.b.CreateAdd(key0, e.i64(j)), e.b.CreateSub(last, e.i64(1))));
    };
    for (int r = 0; r < block.rows; ++r) {
      Value *seen = e.b.CreateICmpSLT(keys, e.splat(block.limits[r], lanes));
      rescale(state, r, e.b.CreateSelect(seen, scores(block, r, rowOf), e.f32(-kInfinity, lanes)));
    }
    Value *count = e.min(e.i64(lanes), e.b.CreateSub(last, key0));
    return e.loop(e.i64(0), count, 1, state, [&](Value *j, const Values &now) {
      Values next = now;
      Value *key = e.b.CreateAdd(key0, j);
      accumulate(next, block, j, keyRow(block, key),
                 [&](int r) { return e.b.CreateICmpSLT(key, block.limits[r]); });
      return next;
    });
  }

  void attend(const Block &block) {
    Values state;
    for (int r = 0; r < block.rows; ++r) {
      state.push_back(e.f32(-kInfinity));
      state.append(1 + pieces, e.f32(0, lanes));
    }
    Value *first = block.limits.front(), *last = block.limits.back();
    Value *whole = e.b.CreateAnd(first, e.i64(-int64_t(lanes)));
    state = e.loop(e.i64(0), whole, lanes, state,
                   [&](Value *key0, const Values &now) { return wholeBlock(block, key0, now); });
    state = e.loop(whole, last, lanes, state,
                   [&](Value *key0, const Values &now) { return edgeBlock(block, key0, last, now); });
    for (int r = 0; r < block.rows; ++r) {
      Value *sum = e.sumLanes(state[r * stride() + 1]);
      Value *some = e.b.CreateICmpSGT(block.limits[r], e.i64(0)); // an empty range gives zeros
      Value *inverse = e.splat(e.b.CreateSelect(some, e.b.CreateFDiv(e.f32(1), sum), e.f32(0)), lanes);
      Value *row = e.muladd(e.i64(r), e.b.CreateMul(heads, e.i64(spec.head_size)), block.out0);
      for (int c = 0; c < pieces; ++c)
        e.storePart(spec.type, out, e.b.CreateAdd(row, e.i64(int64_t(c) * lanes)),
                    e.b.CreateFMul(state[r * stride() + 2 + c], inverse), pieceSize(c));
    }
  }

  /// Queries [t, t + rows) of head `group` = b * H + h.
  void queryBlock(Value *group, Value *t, int rows) {
    Value *batch = e.b.CreateSDiv(group, heads), *head = e.b.CreateSRem(group, heads);
    Value *seen = past ? e.loadIndex(past, batch) : e.i64(0);
    Value *row = e.muladd(batch, queries, t), *in_row = e.b.CreateMul(head, e.i64(spec.head_size));
    Block block;
    block.rows = rows;
    block.q0 = e.muladd(row, q_stride, in_row);
    block.out0 = e.muladd(row, e.b.CreateMul(heads, e.i64(spec.head_size)), in_row);
    block.keys = e.b.CreateMul(e.b.CreateMul(group, capacity), e.i64(spec.head_size));
    Value *end = spec.length ? e.b.CreateAdd(seen, e.loadIndex(e.arg(5), batch)) : nullptr;
    for (int r = 0; r < rows; ++r) {
      Value *limit = e.b.CreateAdd(seen, spec.causal ? e.b.CreateAdd(t, e.i64(r + 1)) : queries);
      if (end) limit = e.min(limit, end);
      block.limits.push_back(e.max(e.min(limit, capacity), e.i64(0)));
    }
    attend(block);
  }
};

} // namespace

KernelSource attentionKernel(const AttentionSpec &spec) {
  std::string name = fmt::format(
      "attention_{}_cache_{}_t{}_h{}_s{}_d{}_ldq{}_scale{:x}{}{}", nameOf(spec.type), nameOf(spec.cache),
      spec.queries.text(), spec.heads.text(), spec.capacity.text(), spec.head_size, spec.q_stride.text(),
      std::bit_cast<uint32_t>(spec.scale), spec.causal ? "_causal" : "", spec.past ? "_past" : "");
  if (spec.length) name += "_length";
  return {name, [spec](Emitter &e) {
            Attention attention{e, spec};
            // More queries at once reuse keys and values; accumulators have to fit the registers.
            const int rows =
                attention.pieces * int(kAttentionGrain) <= e.isa.registers * 3 / 4 ? int(kAttentionGrain) : 1;
            e.forRuns(attention.queries, [&](Value *group, Value *from, Value *to) {
              Value *main = from;
              if (rows > 1) {
                main = e.b.CreateAdd(from, e.b.CreateAnd(e.b.CreateSub(to, from), e.i64(-int64_t(rows))));
                e.loop(from, main, rows, [&](Value *t) { attention.queryBlock(group, t, rows); });
              }
              e.loop(main, to, 1, [&](Value *t) { attention.queryBlock(group, t, 1); });
            });
          }};
}

KernelSource maskKernel(const MaskSpec &spec) {
  std::string name = fmt::format("mask_{}_t{}_h{}_s{}{}{}{}", nameOf(spec.type), spec.queries.text(),
                                 spec.heads.text(), spec.capacity.text(), spec.causal ? "_causal" : "",
                                 spec.past ? "_past" : "", spec.length ? "_length" : "");
  return {name, [spec](Emitter &e) {
            Value *queries = e.extent(spec.queries), *capacity = e.extent(spec.capacity);
            Value *rows = e.b.CreateMul(e.extent(spec.heads), queries); // of one sequence
            e.loop(e.begin, e.end, 1, [&](Value *row) {
              Value *batch = e.b.CreateSDiv(row, rows), *t = e.b.CreateSRem(row, queries);
              Value *seen = spec.past ? e.loadIndex(e.arg(1), batch) : e.i64(0);
              Value *limit = e.b.CreateAdd(seen, spec.causal ? e.b.CreateAdd(t, e.i64(1)) : queries);
              if (spec.length) limit = e.min(limit, e.b.CreateAdd(seen, e.loadIndex(e.arg(2), batch)));
              limit = e.max(e.min(limit, capacity), e.i64(0));
              Value *base = e.b.CreateMul(row, capacity);
              e.forVectors(e.i64(0), limit, [&](Value *j, int lanes) {
                Value *at = e.b.CreateAdd(base, j);
                e.copy(spec.type, e.arg(3), at, e.arg(0), at, lanes);
              });
              e.forVectors(limit, capacity, [&](Value *j, int lanes) {
                e.store(spec.type, e.arg(3), e.b.CreateAdd(base, j), e.f32(-kInfinity, lanes));
              });
            });
          }};
}

} // namespace linnet::cpu
