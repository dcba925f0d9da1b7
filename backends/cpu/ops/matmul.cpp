// Matmuls of row-major operands. packed.cpp has those with packed weights.
#include "backends/cpu/emitter.h"
#include "backends/cpu/kernels.h"

namespace linnet::cpu {
namespace {

struct PlainMatmul {
  Emitter &e;
  const MatmulSpec &spec;
  Value *a = arg(GemmOperand::a), *w = arg(GemmOperand::w), *out = arg(GemmOperand::out);
  Value *bias = spec.bias ? arg(GemmOperand::bias) : nullptr;
  Value *residual = spec.residual ? arg(GemmOperand::residual) : nullptr;
  Value *scale = spec.scaled ? arg(GemmOperand::scale) : nullptr;
  Value *m = e.extent(spec.m), *k = e.extent(spec.k), *n = e.extent(spec.n);

  Value *arg(GemmOperand operand) { return e.arg(int(operand)); }
  Value *aIndex(Value *group, Value *row, Value *kk) {
    if (spec.transpose_a) return e.muladd(e.muladd(group, k, kk), m, row);
    return e.muladd(e.muladd(group, m, row), k, kk);
  }

  /// w[index] = w[kk][column] as f32. Integers are read one at a time.
  Value *weight(Value *index, Value *kk, Value *column, int lanes) {
    if (!scale) return e.load(spec.w, w, index, lanes);
    Value *value = spec.w == Type::i4 ? e.signedNibble(e.load(Type::i8, w, e.b.CreateLShr(index, 1)),
                                                       e.b.CreateAnd(index, 1))
                                      : e.b.CreateSIToFP(e.load(Type::i8, w, index), e.floatType(1));
    Value *group = spec.group ? e.b.CreateUDiv(kk, e.i64(spec.group)) : e.i64(0);
    auto scaleAt = [&](Value *row) {
      Value *at = spec.transpose_w ? e.muladd(column, e.i64(spec.scale_rows), row) : e.muladd(row, n, column);
      return e.load(Type::f32, scale, at);
    };
    if (!spec.asymmetric) return e.b.CreateFMul(value, scaleAt(group));
    Value *row = e.b.CreateMul(group, e.i64(2));
    return e.fma(e.b.CreateFAdd(value, e.f32(8)), scaleAt(row), scaleAt(e.b.CreateAdd(row, e.i64(1))));
  }
  /// Calls body for whole vectors of columns and a tail. Columns of integers are passed one at a time.
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
  /// For w with consecutive columns: multiplies one broadcast element of a by a vector of columns.
  void rowsByColumns(Value *group, Value *row0, int rows, Value *from, Value *to) {
    Value *base = wBase(group);
    forColumns(from, to, [&](Value *column, int lanes) {
      Values sums = e.loop(e.i64(0), k, 1, Values(rows, e.f32(0, lanes)), [&](Value *kk, const Values &acc) {
        Value *x = weight(e.b.CreateAdd(base, e.muladd(kk, n, column)), kk, column, lanes);
        Values next;
        for (int r = 0; r < rows; ++r) {
          Value *y = e.load(spec.a, a, aIndex(group, e.b.CreateAdd(row0, e.i64(r)), kk));
          next.push_back(e.fma(e.splat(y, lanes), x, acc[r]));
        }
        return next;
      });
      for (int r = 0; r < rows; ++r) finish(sums[r], group, e.b.CreateAdd(row0, e.i64(r)), column, lanes);
    });
  }
  /// For w with consecutive k: computes dot products.
  void rowByDots(Value *group, Value *row, Value *from, Value *to) {
    Value *base = wBase(group);
    e.loop(from, to, 1, [&](Value *column) {
      Value *w_row = e.b.CreateAdd(base, e.b.CreateMul(column, k));
      auto step = [&](Value *acc, Value *kk, int lanes) {
        Value *y = e.load(spec.a, a, aIndex(group, row, kk), lanes);
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
      from = e.b.CreateMul(e.b.CreateSRem(group_block, e.i64(blocks)), e.i64(kMatmulColumns));
      to = e.min(e.b.CreateAdd(from, e.i64(kMatmulColumns)), plain.n);
    }
    if (spec.transpose_w)
      return e.loop(row0, row1, 1, [&](Value *row) { plain.rowByDots(group, row, from, to); });
    Value *main = e.b.CreateAdd(row0, e.b.CreateAnd(e.b.CreateSub(row1, row0), e.i64(-4)));
    e.loop(row0, main, 4, [&](Value *row) { plain.rowsByColumns(group, row, 4, from, to); });
    e.loop(main, row1, 1, [&](Value *row) { plain.rowsByColumns(group, row, 1, from, to); });
  });
}

} // namespace

int64_t columnBlocks(const MatmulSpec &spec) {
  return spec.n.isStatic() ? (spec.n.factor + kMatmulColumns - 1) / kMatmulColumns : 1;
}

KernelSource matmulKernel(const MatmulSpec &spec) {
  return {spec.key(), [spec](Emitter &e) { emitMatmul(e, spec); }};
}

} // namespace linnet::cpu
