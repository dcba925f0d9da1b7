#include "backends/cpu/emitter.h"
#include "backends/cpu/kernels.h"

#include <fmt/format.h>

namespace linnet::cpu {
namespace {

const char *nameOf(Activation activation) {
  static const char *const kNames[] = {"", "_relu", "_gelu_erf", "_gelu_tanh"};
  return kNames[int(activation)];
}

//===- packed
//----------------------------------------------------------------------------------------------===//

constexpr int kTileRows = 6;

/// One tile: `rows` rows of a times one panel, accumulators in registers.
struct PackedTile {
  Emitter &e;
  const PackedMatmulSpec &spec;
  Value *a, *panel, *scratch, *scale; ///< scale: of this panel, null without

  /// Vectors of columns that fit the registers beside one vector of weights per column and a broadcast.
  int columnVectors(int rows) const {
    int vectors = int(spec.n_block) / e.lanes();
    const int beside = spec.groups() > 1 ? 2 : 1; // vectors of scales, too
    while (vectors > 1 && rows * vectors + (beside - 1) * vectors > e.isa.registers - 4) vectors /= 2;
    return vectors;
  }

  /// Rows of w that one load brings: the two of a byte of i4.
  int depth() const { return spec.w == Type::i4 ? 2 : 1; }

  /// Weights of row k (and k + 1) from `column` on: vectors of row k, then of row k + 1.
  Values weights(int vectors, Value *column, Value *k) const {
    Values w;
    if (spec.w == Type::i4) {
      Value *at = e.b.CreateAdd(e.b.CreateMul(e.b.CreateLShr(k, 1), e.i64(spec.n_block)), column);
      Values low, high;
      for (int c = 0; c < vectors; ++c) {
        Value *pair = e.load(Type::i8, panel, e.b.CreateAdd(at, e.i64(c * e.lanes())), e.lanes());
        low.push_back(e.signedNibble(pair, 0));
        high.push_back(e.signedNibble(pair, 1));
      }
      w = low;
      w.append(high.begin(), high.end());
      return w;
    }
    Value *at = e.muladd(k, e.i64(spec.n_block), column);
    for (int c = 0; c < vectors; ++c) {
      Value *value = e.load(spec.w, panel, e.b.CreateAdd(at, e.i64(c * e.lanes())), e.lanes());
      w.push_back(spec.w == Type::i8 ? e.b.CreateSIToFP(value, e.floatType(e.lanes())) : value);
    }
    return w;
  }

  /// acc[r][c] += a[r][k] * w[k][c] for the first `deep` rows of w that a load brings. `scales`: none, or one
  /// for each vector.
  Values step(const Values &acc, int rows, int vectors, Value *row0, Value *column, Value *k, int deep,
              const Values &scales) const {
    Values next = acc, w = weights(vectors, column, k);
    for (int d = 0; d < deep; ++d) {
      Value *kk = e.b.CreateAdd(k, e.i64(d));
      Value **row_of_w = w.data() + d * vectors;
      if (!scales.empty())
        for (int c = 0; c < vectors; ++c) row_of_w[c] = e.b.CreateFMul(row_of_w[c], scales[c]);
      for (int r = 0; r < rows; ++r) {
        Value *index = e.muladd(e.b.CreateAdd(row0, e.i64(r)), e.i64(spec.a_stride), kk);
        Value *x = e.splat(e.load(spec.a, a, index), e.lanes());
        for (int c = 0; c < vectors; ++c)
          next[r * vectors + c] = e.fma(x, row_of_w[c], next[r * vectors + c]);
      }
    }
    return next;
  }

  /// acc over rows [from, from + count) of w; count is known.
  Values range(Values acc, int rows, int vectors, Value *row0, Value *column, Value *from, int64_t count,
               const Values &scales) const {
    const int unroll = (rows >= 4 ? 2 : 4) / depth() * depth();
    const int64_t main = count / unroll * unroll;
    acc = e.loop(e.i64(0), e.i64(main), unroll, acc, [&](Value *k, const Values &current) {
      Values next = current;
      for (int u = 0; u < unroll; u += depth())
        next = step(next, rows, vectors, row0, column, e.b.CreateAdd(e.b.CreateAdd(from, k), e.i64(u)),
                    depth(), scales);
      return next;
    });
    for (int64_t k = main; k < count; k += depth())
      acc = step(acc, rows, vectors, row0, column, e.b.CreateAdd(from, e.i64(k)),
                 static_cast<int>(std::min<int64_t>(depth(), count - k)), scales);
    return acc;
  }

  Values scalesOf(int vectors, Value *column, Value *group) const {
    Values scales;
    for (int c = 0; c < vectors; ++c)
      scales.push_back(e.load(
          Type::f32, scale, e.muladd(group, e.i64(spec.n_block), e.b.CreateAdd(column, e.i64(c * e.lanes()))),
          e.lanes()));
    return scales;
  }

  /// Sums of the tile's columns from `column` on into scratch (rows, n_block).
  void columns(int rows, int vectors, Value *row0, Value *column) const {
    Values acc(rows * vectors, e.f32(0, e.lanes()));
    if (spec.groups() == 1) { // one scale for all of k: the epilogue's
      acc = range(acc, rows, vectors, row0, column, e.i64(0), spec.k, {});
    } else {
      const int64_t whole = spec.k / spec.group;
      acc = e.loop(e.i64(0), e.i64(whole), 1, acc, [&](Value *group, const Values &current) {
        return range(current, rows, vectors, row0, column, e.b.CreateMul(group, e.i64(spec.group)),
                     spec.group, scalesOf(vectors, column, group));
      });
      if (int64_t rest = spec.k % spec.group)
        acc = range(acc, rows, vectors, row0, column, e.i64(whole * spec.group), rest,
                    scalesOf(vectors, column, e.i64(whole)));
    }
    for (int r = 0; r < rows; ++r)
      for (int c = 0; c < vectors; ++c)
        e.store(Type::f32, scratch, e.b.CreateAdd(column, e.i64(r * spec.n_block + c * e.lanes())),
                acc[r * vectors + c]);
  }

  void product(int rows, Value *row0) const {
    const int vectors = columnVectors(rows);
    if (vectors * e.lanes() == spec.n_block) return columns(rows, vectors, row0, e.i64(0));
    e.loop(e.i64(0), e.i64(spec.n_block), vectors * e.lanes(),
           [&](Value *column) { columns(rows, vectors, row0, column); });
  }
};

/// out = activation(scratch + bias) + residual for `rows` rows and the panel's columns that exist.
void packedEpilogue(Emitter &e, const PackedMatmulSpec &spec, Value *scratch, Value *scale, int rows,
                    Value *row0, Value *column0) {
  Value *bias = spec.bias ? e.arg(2) : nullptr, *residual = spec.residual ? e.arg(3) : nullptr,
        *out = e.arg(4);
  Value *count = e.min(e.i64(spec.n_block), e.b.CreateSub(e.i64(spec.n), column0));
  e.loop(e.i64(0), e.i64(rows), 1, [&](Value *r) {
    Value *row = e.muladd(e.b.CreateAdd(row0, r), e.i64(spec.n), column0);
    e.forVectors(e.i64(0), count, [&](Value *c, int lanes) {
      Value *x = e.load(Type::f32, scratch, e.muladd(r, e.i64(spec.n_block), c), lanes);
      if (scale && spec.groups() == 1) x = e.b.CreateFMul(x, e.load(Type::f32, scale, c, lanes));
      if (bias) x = e.b.CreateFAdd(x, e.load(spec.bias_type, bias, e.b.CreateAdd(column0, c), lanes));
      x = e.activate(spec.activation, x);
      Value *at = e.b.CreateAdd(row, c);
      if (residual) x = e.b.CreateFAdd(x, e.load(spec.out, residual, at, lanes));
      e.store(spec.out, out, at, x);
    });
  });
}

void emitPackedMatmul(Emitter &e, const PackedMatmulSpec &spec) {
  Value *m = e.extent(Extent::symbol(0)); // dims {m}
  Value *a = e.arg(0), *w = e.arg(1), *scratch = e.scratch(kTileRows * spec.n_block);
  const int64_t blocks = (spec.k + spec.k_block - 1) / spec.k_block;
  e.loop(e.begin, e.end, 1, [&](Value *item) {
    const int64_t panel_elements = blocks * spec.k_block * spec.n_block;
    Value *panel = spec.w == Type::i4 ? e.address(Type::i8, w, e.b.CreateMul(item, e.i64(panel_elements / 2)))
                                      : e.address(spec.w, w, e.b.CreateMul(item, e.i64(panel_elements)));
    Value *scale = spec.scaled() ? e.address(Type::f32, e.arg(5),
                                             e.b.CreateMul(item, e.i64(spec.groups() * spec.n_block)))
                                 : nullptr;
    Value *column0 = e.b.CreateMul(item, e.i64(spec.n_block));
    const PackedTile tile{e, spec, a, panel, scratch, scale};
    auto compute = [&](int rows, Value *row0) {
      tile.product(rows, row0);
      packedEpilogue(e, spec, scratch, scale, rows, row0, column0);
    };
    Value *rest = e.b.CreateURem(m, e.i64(kTileRows));
    Value *main = e.b.CreateSub(m, rest);
    e.loop(e.i64(0), main, kTileRows, [&](Value *row0) { compute(kTileRows, row0); });
    for (int rows = 1; rows < kTileRows; ++rows)
      e.ifThen(e.b.CreateICmpEQ(rest, e.i64(rows)), [&] { compute(rows, main); });
  });
}

//===- plain
//-----------------------------------------------------------------------------------------------===//

struct PlainMatmul {
  Emitter &e;
  const MatmulSpec &spec;
  Value *a = e.arg(0), *w = e.arg(1), *bias = spec.bias ? e.arg(2) : nullptr;
  Value *residual = spec.residual ? e.arg(3) : nullptr, *out = e.arg(4);
  Value *m = e.extent(spec.m), *k = e.extent(spec.k), *n = e.extent(spec.n);

  Value *aIndex(Value *group, Value *row, Value *kk) {
    if (spec.transpose_a) return e.muladd(e.muladd(group, k, kk), m, row);
    return e.muladd(e.muladd(group, m, row), spec.a_stride ? e.i64(spec.a_stride) : k, kk);
  }
  Value *scale = spec.w == Type::i8 || spec.w == Type::i4 ? e.arg(5) : nullptr;

  /// w[index] = w[kk][column] as f32; integers one at a time.
  Value *weight(Value *index, Value *kk, Value *column, int lanes) {
    if (!scale) return e.load(spec.w, w, index, lanes);
    Value *value = spec.w == Type::i4 ? e.signedNibble(e.load(Type::i8, w, e.b.CreateLShr(index, 1)),
                                                       e.b.CreateAnd(index, 1))
                                      : e.b.CreateSIToFP(e.load(Type::i8, w, index), e.floatType(1));
    Value *group = spec.group ? e.b.CreateUDiv(kk, e.i64(spec.group)) : e.i64(0);
    Value *at = spec.transpose_w ? e.muladd(column, e.i64(spec.groups), group) : e.muladd(group, n, column);
    return e.b.CreateFMul(value, e.load(Type::f32, scale, at));
  }
  /// Full vectors and a tail, or single elements where w is of integers.
  void forColumns(Value *from, Value *to, llvm::function_ref<void(Value *, int)> body) {
    if (!scale) return e.forVectors(from, to, body);
    e.loop(from, to, 1, [&](Value *column) { body(column, 1); });
  }
  Value *wBase(Value *group) { return spec.shared_w ? e.i64(0) : e.b.CreateMul(group, e.b.CreateMul(k, n)); }
  void finish(Value *sum, Value *group, Value *row, Value *column, int lanes) {
    if (bias) sum = e.b.CreateFAdd(sum, e.load(spec.type, bias, column, lanes));
    sum = e.activate(spec.activation, sum);
    Value *at = e.muladd(e.muladd(group, m, row), n, column);
    if (residual) sum = e.b.CreateFAdd(sum, e.load(spec.type, residual, at, lanes));
    e.store(spec.type, out, at, sum);
  }
  /// Columns are neighbours in w: one broadcast of a meets a vector of columns.
  void rowsByColumns(Value *group, Value *row0, int rows, Value *from, Value *to) {
    Value *base = wBase(group);
    forColumns(from, to, [&](Value *column, int lanes) {
      Values sums = e.loop(e.i64(0), k, 1, Values(rows, e.f32(0, lanes)), [&](Value *kk, const Values &acc) {
        Value *x = weight(e.b.CreateAdd(base, e.muladd(kk, n, column)), kk, column, lanes);
        Values next;
        for (int r = 0; r < rows; ++r) {
          Value *y = e.load(spec.type, a, aIndex(group, e.b.CreateAdd(row0, e.i64(r)), kk));
          next.push_back(e.fma(e.splat(y, lanes), x, acc[r]));
        }
        return next;
      });
      for (int r = 0; r < rows; ++r) finish(sums[r], group, e.b.CreateAdd(row0, e.i64(r)), column, lanes);
    });
  }
  /// k is the inner dimension of w: dot products.
  void rowByDots(Value *group, Value *row, Value *from, Value *to) {
    Value *base = wBase(group);
    e.loop(from, to, 1, [&](Value *column) {
      Value *w_row = e.b.CreateAdd(base, e.b.CreateMul(column, k));
      auto step = [&](Value *acc, Value *kk, int lanes) {
        Value *y = e.load(spec.type, a, aIndex(group, row, kk), lanes);
        return e.fma(y, weight(e.b.CreateAdd(w_row, kk), kk, column, lanes), acc);
      };
      Value *sum =
          spec.transpose_a || scale
              ? e.loop(e.i64(0), k, 1, {e.f32(0)},
                       [&](Value *kk, const Values &acc) { return Values{step(acc[0], kk, 1)}; })[0]
              : e.fold(e.i64(0), k, 0, step, [&](Value *x, Value *y) { return e.b.CreateFAdd(x, y); });
      finish(sum, group, row, column, 1);
    });
  }
};

void emitMatmul(Emitter &e, const MatmulSpec &spec) {
  PlainMatmul plain{e, spec};
  const int64_t blocks = columnBlocks(spec);
  e.forRuns(plain.m, [&](Value *group_block, Value *row0, Value *row1) {
    Value *group = e.b.CreateSDiv(group_block, e.i64(blocks));
    Value *from = e.i64(0), *to = plain.n;
    if (blocks > 1) {
      from = e.b.CreateMul(e.b.CreateSRem(group_block, e.i64(blocks)), e.i64(MatmulSpec::kColumns));
      to = e.min(e.b.CreateAdd(from, e.i64(MatmulSpec::kColumns)), plain.n);
    }
    if (spec.transpose_w)
      return e.loop(row0, row1, 1, [&](Value *row) { plain.rowByDots(group, row, from, to); });
    Value *main = e.b.CreateAdd(row0, e.b.CreateAnd(e.b.CreateSub(row1, row0), e.i64(-4)));
    e.loop(row0, main, 4, [&](Value *row) { plain.rowsByColumns(group, row, 4, from, to); });
    e.loop(main, row1, 1, [&](Value *row) { plain.rowsByColumns(group, row, 1, from, to); });
  });
}

} // namespace

KernelSource packedMatmulKernel(const PackedMatmulSpec &spec) {
  std::string name = fmt::format("matmul_{}_panel{}x{}", nameOf(spec.w), spec.k_block, spec.n_block);
  if (spec.a != Type::f32 || spec.out != Type::f32)
    name += fmt::format("_{}to{}", nameOf(spec.a), nameOf(spec.out));
  if (spec.bias)
    name += spec.bias_type == Type::f32 ? "_bias" : fmt::format("_bias{}", nameOf(spec.bias_type));
  name += nameOf(spec.activation);
  name += fmt::format("{}_k{}_n{}", spec.residual ? "_residual" : "", spec.k, spec.n);
  if (spec.a_stride != spec.k) name += fmt::format("_lda{}", spec.a_stride);
  if (spec.group) name += fmt::format("_group{}", spec.group);
  return {name, [spec](Emitter &e) { emitPackedMatmul(e, spec); }};
}

int64_t columnBlocks(const MatmulSpec &spec) {
  return spec.n.isStatic() ? (spec.n.factor + MatmulSpec::kColumns - 1) / MatmulSpec::kColumns : 1;
}

KernelSource matmulKernel(const MatmulSpec &spec) {
  std::string name = fmt::format("matmul_{}_{}{}{}", nameOf(spec.type), spec.transpose_a ? "t" : "n",
                                 spec.transpose_w ? "t" : "n", spec.shared_w ? "_shared" : "_grouped");
  name += fmt::format("{}{}{}_m{}_k{}_n{}", spec.bias ? "_bias" : "", nameOf(spec.activation),
                      spec.residual ? "_residual" : "", spec.m.text(), spec.k.text(), spec.n.text());
  if (spec.a_stride) name += fmt::format("_lda{}", spec.a_stride);
  if (spec.w != spec.type) name += fmt::format("_w_{}", nameOf(spec.w));
  if (spec.group) name += fmt::format("_group{}", spec.group);
  return {name, [spec](Emitter &e) { emitMatmul(e, spec); }};
}

} // namespace linnet::cpu
