#include "bench/limits/vulkan_kernels.h"

#include "backends/vulkan/emitter.h"

#include <fmt/format.h>

namespace bench {
namespace {

using namespace linnet;
using namespace linnet::vulkan;
using spirv::Kind;
using spirv::MatrixUse;

constexpr uint32_t kLoads = kChunk / kInvocations / 16;

/// Number of invocations that read adjacent memory: all of a workgroup, or a CPU's vector.
uint32_t adjacent(bool on_cpu) { return on_cpu ? 8 : kInvocations; }

/// Stores a result if `unlikely` holds. The compiler cannot know that it never does, so all invocations must
/// compute.
void tell(Emitter &e, uint32_t operand, Value invocation, Value told, Value unlikely, Value bits) {
  Builder &b = e.b;
  Value checked = b.logicalAnd(told, b.lt(invocation, e.u(kChecked)));
  b.ifThen(b.logicalOr(checked, unlikely), [&] {
    e.store(operand, b.bitAnd(invocation, e.u(kChecked - 1)), vulkan::Type::i32,
            b.bitcast(bits, Builder::i32()));
  });
}

/// The sum of a vector's elements.
Value total(Builder &b, Value vector) {
  Value sum = b.extract(vector, 0);
  for (int i = 1; i < vector.type.width; ++i) sum = b.add(sum, b.extract(vector, i));
  return sum;
}

/// A value of 1 that the compiler does not know.
Value unknownOne(Emitter &e) { return e.b.convert(e.anySize(Extent(1)), Builder::f32()); }

/// x = x / 2 + 1 in `chains` independent chains, which all end at 2.
PeakKernel chainsOf(Emitter &e, spirv::Type type, uint32_t chains) {
  constexpr uint32_t kUnroll = 16, kSteps = 256;
  Builder &b = e.b;
  auto value = [&](Value number) { return b.convert(b.splat(number, type.width), type); };
  Value one = unknownOne(e), add = value(one), factor = value(b.mul(one, e.f(0.5))),
        invocation = b.globalId(0);
  Value start = b.convert(b.bitAnd(invocation, e.u(7)), Builder::f32());
  std::vector<Variable> x;
  for (uint32_t i = 0; i < chains; ++i) x.push_back(b.variable(value(b.add(start, e.f(8 * i)))));
  b.forRange(e.u(0), e.u(kSteps), e.u(1), [&](Value) {
    std::vector<Value> now;
    for (const Variable &chain : x) now.push_back(b.get(chain));
    for (uint32_t step = 0; step < kUnroll; ++step)
      for (Value &chain : now) chain = b.fma(chain, factor, add);
    for (uint32_t i = 0; i < chains; ++i) b.set(x[i], now[i]);
  });
  Value sum = e.f(0);
  for (const Variable &chain : x)
    sum = b.add(sum, total(b, b.convert(b.get(chain), Builder::f32(type.width))));
  tell(e, 0, invocation, b.constant(true), b.lt(sum, e.f(0)), sum);
  const double numbers = double(chains) * type.width;
  return {e.finish(), 2 * numbers * kUnroll * kSteps * kInvocations, static_cast<float>(2 * numbers)};
}

/// Peak of cooperative matrices: repeatedly adds the kDown * kAcross products of kDown matrices a and kAcross
/// matrices b.
struct MatrixPeak {
  static constexpr uint32_t kDown = 2, kAcross = 4, kSubgroups = 4, kUnroll = 4, kSteps = 256;
  const MatrixShape &shape;
  Emitter &e;
  Builder &b = e.b;

  std::vector<spirv::Matrix> operands(const spirv::MatrixType &type, uint32_t count, Value element) {
    const uint32_t size = type.rows * type.columns;
    Shared tiles = b.shared({Kind::f16, 1}, count * size);
    e.addShared(2 * count * size);
    b.forRange(b.localId(0), e.u(count * size), e.u(e.invocations()),
               [&](Value i) { b.store(tiles, i, element); });
    b.barrier();
    std::vector<spirv::Matrix> loaded;
    for (uint32_t i = 0; i < count; ++i)
      loaded.push_back(b.loadMatrix(tiles, e.u(i * size), type.columns, type));
    return loaded;
  }

  void accumulate(std::span<const spirv::MatrixVariable> sums, std::span<const spirv::Matrix> left,
                  std::span<const spirv::Matrix> right) {
    b.forRange(e.u(0), e.u(kSteps), e.u(1), [&](Value) {
      std::vector<spirv::Matrix> now;
      for (const spirv::MatrixVariable &sum : sums) now.push_back(b.get(sum));
      for (uint32_t step = 0; step < kUnroll; ++step)
        for (uint32_t i = 0; i < now.size(); ++i)
          now[i] = b.multiplyAdd(left[i / kAcross], right[i % kAcross], now[i]);
      for (uint32_t i = 0; i < now.size(); ++i) b.set(sums[i], now[i]);
    });
  }

  /// One element of each sum per invocation, through shared memory.
  Value totalOf(std::span<const spirv::MatrixVariable> sums) {
    const uint32_t size = shape.m * shape.n;
    Shared out = e.shared(Builder::f32(), kSubgroups * size, "out");
    Value own = b.mul(b.subgroupId(), e.u(size)), sum = e.f(0);
    for (const spirv::MatrixVariable &one : sums) {
      b.barrier();
      b.storeMatrix(out, own, shape.n, b.get(one));
      b.barrier();
      sum = b.add(sum, b.load(out, b.add(own, b.bitAnd(b.subgroupLane(), e.u(size - 1)))));
    }
    return sum;
  }

  /// Every product adds k 2^-16 to each element, without rounding.
  PeakKernel emit() {
    e.enableMatrices();
    Value small = b.convert(b.mul(unknownOne(e), e.f(1.0 / 256)), {Kind::f16, 1});
    auto left = operands({Kind::f16, shape.m, shape.k, MatrixUse::a}, kDown, small);
    auto right = operands({Kind::f16, shape.k, shape.n, MatrixUse::b}, kAcross, small);
    std::vector<spirv::MatrixVariable> sums;
    for (uint32_t i = 0; i < kDown * kAcross; ++i)
      sums.push_back(b.zeroMatrix({Kind::f32, shape.m, shape.n, MatrixUse::sum}));
    accumulate(sums, left, right);
    Value sum = totalOf(sums);
    tell(e, 0, b.globalId(0), b.constant(true), b.lt(sum, e.f(0)), sum);
    constexpr double kProducts = double(kDown) * kAcross * kUnroll * kSteps;
    return {e.finish(), 2 * kSubgroups * kProducts * shape.m * shape.n * shape.k,
            static_cast<float>(kProducts * shape.k / 65536)};
  }
};

} // namespace

uint32_t sumOf(uint32_t invocation, bool on_cpu) {
  const uint32_t width = adjacent(on_cpu), chunk = invocation / kInvocations,
                 lane = invocation % kInvocations;
  const uint32_t first = chunk * (kChunk / 16) + lane / width * width * kLoads + lane % width;
  uint32_t sum = 0;
  for (uint32_t i = 0; i < kLoads; ++i)
    for (uint32_t word = 0; word < 4; ++word) sum += wordOf((first + i * width) * 4 + word);
  return sum;
}

Kernel fillKernel() {
  Emitter e("limits_fill", 1, kInvocations, {});
  Builder &b = e.b;
  e.forUnitsByGroup(true, [&](Emitter::Unit unit) {
    constexpr uint32_t kWords = kChunk / 4;
    for (uint32_t i = 0; i < kWords; i += kInvocations) {
      Value at = b.add(b.localId(0), e.u(i)), index = b.add(b.mul(unit.number, e.u(kWords)), at);
      Value word = b.bitOr(b.mul(index, e.u(2654435761u)), e.u(1));
      e.store(0, b.add(b.mul(unit.at, e.u(kWords)), at), vulkan::Type::i32, b.bitcast(word, Builder::i32()));
    }
  });
  return e.finish();
}

Kernel readKernel(bool on_cpu) {
  const uint32_t width = adjacent(on_cpu);
  Operands where;
  if (on_cpu) where.texels = {4, 0};
  Emitter e("limits_read", 2, kInvocations, where);
  if (on_cpu) e.require("cpu");
  Builder &b = e.b;
  Value lane = b.localId(0), vector = b.div(lane, e.u(width));
  Value begin = b.add(b.mul(vector, e.u(width * kLoads)), b.mod(lane, e.u(width)));
  e.forUnitsByGroup(true, [&](Emitter::Unit unit) {
    Value first = b.add(b.mul(unit.at, e.u(kChunk / 16)), begin), sum = {};
    for (uint32_t i = 0; i < kLoads; ++i) {
      Value four = b.bitcast(e.load4(0, b.add(first, e.u(i * width))), Builder::u32(4));
      sum = sum ? b.add(sum, four) : four;
    }
    Value all = total(b, sum), invocation = b.add(b.mul(unit.number, e.u(kInvocations)), b.localId(0));
    // The sum is even, because it has an even number of odd words.
    tell(e, 1, invocation, b.eq(b.groupId(1), e.u(0)), b.eq(all, e.u(1)), all);
  });
  return e.finish();
}

PeakKernel floatPeak() {
  Emitter e("limits_f32", 1, kInvocations, {});
  return chainsOf(e, Builder::f32(), 12);
}

PeakKernel halfPeak() {
  Emitter e("limits_f16", 1, kInvocations, {});
  for (const char *feature : {"gpu", "shader_float16"}) e.require(feature);
  return chainsOf(e, {Kind::f16, 4}, 8);
}

PeakKernel matrixPeak(const MatrixShape &shape) {
  const std::string size = fmt::format("{}x{}x{}", shape.m, shape.n, shape.k);
  Emitter e("limits_matrix_" + size, 1, MatrixPeak::kSubgroups * shape.subgroup, {});
  for (const char *feature : {"vulkan_memory_model", "shader_float16", "subgroup_basic"}) e.require(feature);
  e.require("cooperative_matrix/" + size + "/f16/f32");
  e.requireSubgroup(shape.subgroup);
  return MatrixPeak{shape, e}.emit();
}

} // namespace bench
