#include "backends/vulkan/emitter.h"
#include "backends/vulkan/kernels.h"

namespace linnet::vulkan {
namespace {

struct Elementwise {
  Emitter &e;
  const VulkanElementwiseSpec &spec;
  Value begin = {}; ///< the first element of operands that are bound in parts

  /// The coordinates of element i of the shape, outermost first.
  std::vector<Value> coordinates(Value i) {
    std::vector<Value> result(spec.shape.size());
    for (size_t d = spec.shape.size(); d-- > 0;) {
      if (d == 0) {
        result[d] = i;
        break;
      }
      Value size = e.extent(spec.shape[d]);
      result[d] = e.b.mod(i, size);
      i = e.b.div(i, size);
    }
    return result;
  }

  /// The index of the element with these coordinates in input `input`.
  Value index(size_t input, const std::vector<Value> &at) {
    Value all = indexInWhole(input, at);
    return spec.in_parts && !spec.broadcast[input] ? e.b.sub(all, begin) : all;
  }
  Value indexInWhole(size_t input, const std::vector<Value> &at) {
    Value sum = e.u(0);
    bool any = false;
    for (size_t d = 0; d < spec.shape.size(); ++d) {
      if (spec.broadcast[input] >> d & 1) continue;
      sum = any ? e.b.add(e.b.mul(sum, e.extent(spec.shape[d])), at[d]) : at[d];
      any = true;
    }
    return sum;
  }

  std::vector<Value> results(const std::vector<Value> &at) {
    std::vector<Value> in, out;
    for (size_t i = 0; i < spec.in.size(); ++i) in.push_back(e.load(uint32_t(i), index(i, at), spec.in[i]));
    spec.body(e, in, out);
    return out;
  }

  void elements() {
    Extent all = 1;
    for (const Extent &size : spec.shape) all = all * size;
    auto one = [&](Value at, Value number) {
      const std::vector<Value> values = results(coordinates(number));
      for (size_t r = 0; r < values.size(); ++r)
        e.store(uint32_t(spec.in.size() + r), at, spec.out[r], values[r]);
    };
    if (!spec.in_parts) return e.forItems(all, [&](Value i) { one(i, i); });
    begin = e.firstUnit();
    e.forUnits(true, [&](Emitter::Unit unit) { one(unit.at, unit.number); });
  }

  void rows() {
    Builder &b = e.b;
    Extent all = 1;
    for (size_t d = 0; d + 1 < spec.shape.size(); ++d) all = all * spec.shape[d];
    Shared scratch = e.shared(Builder::f32(), kItems, "scratch");
    Value columns = e.extent(spec.shape.back());
    const bool max = *spec.reduce == Reduction::max;
    auto combine = [&](Value x, Value y) { return max ? e.maximum(x, y) : b.add(x, y); };
    auto one = [&](Value row) {
      Variable sum = b.variable(e.f(max ? -HUGE_VAL : 0));
      b.forRange(b.localId(0), columns, e.u(kItems), [&](Value c) {
        b.set(sum, combine(b.get(sum), results(coordinates(b.add(b.mul(row, columns), c)))[0]));
      });
      Value total = e.reduce(scratch, b.get(sum), combine);
      if (*spec.reduce == Reduction::mean) total = b.div(total, b.convert(columns, Builder::f32()));
      b.ifThen(b.eq(b.localId(0), e.u(0)),
               [&] { e.store(uint32_t(spec.in.size()), row, spec.out[0], total); });
    };
    if (!spec.in_parts) return e.forGroups(e.extent(all), one);
    begin = b.mul(e.firstUnit(), columns);
    e.forUnitsByGroup(true, [&](Emitter::Unit unit) { one(unit.number); });
  }
};

} // namespace

Kernel elementwiseKernel(const VulkanElementwiseSpec &spec) {
  const std::string name = spec.key(false) + (spec.in_parts ? "_parts" : "");
  Emitter e(name, uint32_t(spec.in.size() + spec.out.size()), kItems, spec.where);
  Elementwise body{e, spec};
  spec.reduce ? body.rows() : body.elements();
  return e.finish();
}

} // namespace linnet::vulkan
