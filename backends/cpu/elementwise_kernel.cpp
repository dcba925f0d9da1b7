// One pass over elements: expressions with broadcasting.
#include "backends/cpu/emitter.h"
#include "backends/cpu/kernels.h"

#include <fmt/format.h>
#include <limits>

namespace linnet::cpu {
namespace {

struct Elementwise {
  Emitter &e;
  const ElementwiseSpec &spec;
  const size_t rank = spec.shape.size(), inputs = spec.in.size();
  Values sizes, in, out;

  Elementwise(Emitter &e, const ElementwiseSpec &spec) : e(e), spec(spec) {
    for (const Extent &extent : spec.shape) sizes.push_back(e.extent(extent));
    for (size_t i = 0; i < inputs; ++i) in.push_back(e.arg(int(i)));
    for (size_t i = 0; i < spec.out.size(); ++i) out.push_back(e.arg(int(inputs + i)));
  }

  bool repeats(size_t input, size_t dim) const { return (spec.broadcast[input] >> dim & 1) != 0; }
  bool hasGaps(size_t input) const { return input < spec.gaps.size() && spec.gaps[input].dims > 0; }

  /// Where the row with these outer indices begins in each input.
  Values bases(Value *row) {
    Values index(rank, nullptr), base(inputs, e.i64(0));
    for (size_t d = rank - 1; d-- > 0;) {
      index[d] = d == 0 ? row : e.b.CreateSRem(row, sizes[d]);
      if (d > 0) row = e.b.CreateSDiv(row, sizes[d]);
    }
    for (size_t i = 0; i < inputs; ++i) {
      Value *stride = repeats(i, rank - 1) ? e.i64(1) : sizes.back();
      for (size_t d = rank - 1; d-- > 0;) {
        if (hasGaps(i) && rank - 1 - d == spec.gaps[i].dims) stride = e.i64(spec.gaps[i].stride);
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
      if (Emitter::lanesOf(result) != lanes) result = e.splat(result, lanes); // a constant
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
    if (rank == 1 && !repeatsAny()) {
      const Values base(inputs, e.i64(0));
      return e.forVectors(e.begin, e.end, [&](Value *i, int lanes) { elements(base, e.i64(0), i, lanes); });
    }
    e.forRuns(sizes.back(), [&](Value *row, Value *from, Value *to) {
      const Values base = bases(row);
      Value *out_base = e.b.CreateMul(row, sizes.back());
      e.forVectors(from, to, [&](Value *i, int lanes) { elements(base, out_base, i, lanes); });
    });
  }

  bool repeatsAny() const {
    for (uint32_t dims : spec.broadcast)
      if (dims) return true;
    return false;
  }
};

} // namespace

KernelSource elementwiseKernel(const ElementwiseSpec &spec) {
  std::string name = spec.name;
  bool plain = spec.shape.size() == 1;
  for (size_t i = 0; i < spec.in.size(); ++i) {
    name += fmt::format("_{}", nameOf(spec.in[i]));
    if (spec.broadcast[i]) name += fmt::format("b{:x}", spec.broadcast[i]), plain = false;
    if (i < spec.gaps.size() && spec.gaps[i].dims > 0)
      name += fmt::format("g{}x{}", spec.gaps[i].dims, spec.gaps[i].stride);
  }
  static const char *const kReductions[] = {"_sum", "_mean", "_max"};
  if (spec.reduce) name += kReductions[int(*spec.reduce)], plain = false;
  name += "_to";
  for (Type type : spec.out) name += fmt::format("_{}", nameOf(type));
  if (!plain) // a pass over consecutive elements is the same for every size
    for (const Extent &extent : spec.shape) name += "_" + extent.text();
  return {name, [spec](Emitter &e) { Elementwise(e, spec).emit(); }};
}

} // namespace linnet::cpu
