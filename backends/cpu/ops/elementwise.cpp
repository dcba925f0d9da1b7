// Elementwise kernels: expressions with broadcasting, and reductions of rows.
#include "backends/cpu/emitter.h"
#include "backends/cpu/kernels.h"

#include <limits>

namespace linnet::cpu {
namespace {

struct Elementwise {
  Emitter &e;
  const CpuElementwiseSpec &spec;
  const size_t rank = spec.shape.size(), inputs = spec.in.size();
  Values sizes, in, out;

  Elementwise(Emitter &e, const CpuElementwiseSpec &spec) : e(e), spec(spec) {
    for (const Extent &extent : spec.shape) sizes.push_back(e.extent(extent));
    for (size_t i = 0; i < inputs; ++i) in.push_back(e.arg(int(i)));
    for (size_t i = 0; i < spec.out.size(); ++i) out.push_back(e.arg(int(inputs + i)));
  }

  bool repeats(size_t input, size_t dim) const { return (spec.broadcast[input] >> dim & 1) != 0; }

  /// The index of a row's first element in each input. `row` is the product of the outer indices.
  Values bases(Value *row) {
    Values index(rank, nullptr), base(inputs, e.i64(0));
    for (size_t d = rank - 1; d-- > 0;) {
      index[d] = d == 0 ? row : e.b.CreateSRem(row, sizes[d]);
      if (d > 0) row = e.b.CreateSDiv(row, sizes[d]);
    }
    for (size_t i = 0; i < inputs; ++i) {
      Value *stride = repeats(i, rank - 1) ? e.i64(1) : sizes.back();
      for (size_t d = rank - 1; d-- > 0;) {
        if (repeats(i, d)) continue;
        base[i] = e.muladd(index[d], stride, base[i]);
        stride = e.b.CreateMul(stride, sizes[d]);
      }
    }
    return base;
  }

  std::vector<Value *> results(const Values &base, Value *i, int lanes) {
    std::vector<Value *> values;
    for (size_t k = 0; k < inputs; ++k)
      values.push_back(rank > 0 && repeats(k, rank - 1)
                           ? e.splat(e.load(spec.in[k], in[k], base[k]), lanes)
                           : e.load(spec.in[k], in[k], e.b.CreateAdd(base[k], i), lanes));
    std::vector<Value *> results = spec.body(e, values);
    for (Value *&result : results)
      if (Emitter::lanesOf(result) != lanes) result = e.splat(result, lanes); // the result is a constant
    return results;
  }

  void elements(const Values &base, Value *out_base, Value *i, int lanes) {
    const std::vector<Value *> values = results(base, i, lanes);
    for (size_t k = 0; k < values.size(); ++k)
      e.store(spec.out[k], out[k], e.b.CreateAdd(out_base, i), values[k]);
  }

  void reduceRow(Value *row) {
    const Values base = bases(row);
    const bool max = spec.reduce == Reduction::max;
    auto join = [&](Value *x, Value *y) { return max ? e.maximum(x, y) : e.b.CreateFAdd(x, y); };
    Value *sum = e.fold(
        e.i64(0), sizes.back(), max ? -std::numeric_limits<double>::infinity() : 0,
        [&](Value *acc, Value *i, int lanes) { return join(acc, results(base, i, lanes)[0]); }, join);
    if (spec.reduce == Reduction::mean)
      sum = e.b.CreateFDiv(sum, e.b.CreateSIToFP(sizes.back(), e.floatType(1)));
    e.store(spec.out[0], out[0], row, sum);
  }

  void emit() {
    if (spec.reduce) return e.loop(e.begin, e.end, 1, [&](Value *row) { reduceRow(row); });
    if (spec.isPlain()) {
      const Values base(inputs, e.i64(0));
      return e.forVectors(e.begin, e.end, [&](Value *i, int lanes) { elements(base, e.i64(0), i, lanes); });
    }
    e.forRuns(sizes.back(), [&](Value *row, Value *from, Value *to) {
      const Values base = bases(row);
      Value *out_base = e.b.CreateMul(row, sizes.back());
      e.forVectors(from, to, [&](Value *i, int lanes) { elements(base, out_base, i, lanes); });
    });
  }
};

} // namespace

KernelSource elementwiseKernel(const CpuElementwiseSpec &spec) {
  return {spec.key(true), [spec](Emitter &e) { Elementwise(e, spec).emit(); }};
}

} // namespace linnet::cpu
