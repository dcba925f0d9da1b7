// The interface of the kernel generators, on top of the SPIR-V builder. It adds push constants for dynamic sizes,
// elements of every type in buffers of 32-bit words, and reductions in a workgroup. It also has exact versions of
// functions that SPIR-V lacks or leaves imprecise.
#pragma once
#include "backends/common/specs/spec.h"
#include "backends/vulkan/kernel.h"
#include "backends/vulkan/spirv/builder.h"

#include <cmath>
#include <functional>
#include <map>

namespace linnet::vulkan {

using spirv::Builder;
using spirv::Private;
using spirv::Shared;
using spirv::Value;
using spirv::Variable;

class Emitter {
public:
  Emitter(std::string name, uint32_t operands, uint32_t local_x, const Operands &where, uint32_t local_y = 1);
  Kernel finish();
  void enableMatrices() { b.enableMatrices(); }
  void require(std::string feature) { kernel.features.push_back(std::move(feature)); }
  void requireSubgroup(SubgroupSizes sizes) { kernel.subgroups = sizes; }
  void requireSubgroup(uint32_t size) { requireSubgroup({size, size}); }

  Builder b;

  // --- indices
  Value u(uint64_t value) { return b.constant(static_cast<uint32_t>(value)); }
  Value f(double value) { return b.constant(static_cast<float>(value)); }
  /// A constant, or a push constant if the size is dynamic.
  Value extent(const Extent &extent);
  /// A push constant even for a static size, so that one kernel serves every size.
  Value anySize(const Extent &extent);
  /// The most steps of a loop whose end is computed.
  spirv::LoopHint atMost(const Extent &extent) { return {.most = mostOf(extent)}; }
  /// for (i = first; i < end; i += step). The step follows from the number of workgroups. With enough workgroups, each
  /// invocation gets one item, or each workgroup `each` groups.
  void forItems(Value items, const std::function<void(Value item)> &body);
  void forItems(const Extent &items, const std::function<void(Value item)> &body) {
    forItems(extent(items), body);
  }
  void forGroups(Value end, const std::function<void(Value group)> &body, int axis = 0, uint32_t each = 1);
  /// Calls body for elements lane, lane + lanes, ... below `size`. i counts the elements of this invocation.
  void forOwn(Value lane, uint32_t lanes, uint32_t size,
              const std::function<void(uint32_t i, Value at)> &body);
  /// A unit of this dispatch, which one invocation or one workgroup computes. `at` is its position in the bound
  /// operands, `number` its position among all units. They differ if operands are bound in parts.
  struct Unit {
    Value at, number;
  };
  void forUnits(bool in_parts, const std::function<void(Unit)> &body);
  void forUnitsByGroup(bool in_parts, const std::function<void(Unit)> &body);

  // --- elements; floats of every width are computed in f32, integers in i32
  Value load(OperandNumber operand, Value index, Type type);
  void store(OperandNumber operand, Value index, Type type, Value value);
  /// The index plus the operand's offset. load and store add the offset themselves.
  Value at(uint32_t operand, Value index);
  /// Makes later load, store and atomicAdd of the operand see writes of other workgroups.
  void acrossGroups(uint32_t operand) { coherent[operand] = b.coherent(binding(operand)); }
  Value atomicAdd(uint32_t operand, Value index, Value what) {
    return b.atomicAdd(binding(operand), word(operand, at(operand, index)), what);
  }
  bool beginsInside(uint32_t operand) const { return where.inside >> operand & 1; }
  /// load4 reads words [4 index, 4 index + 4) as f32. load2 reads words [2 index, 2 index + 2) as u32, loadWord reads
  /// one word as i32. The kernel must not write the operand, and the operand must begin at its binding's first element.
  Value load4(OperandNumber operand, Value index);
  Value load2(OperandNumber operand, Value index);
  Value loadWord(OperandNumber operand, Value index);
  /// Reads elements [4 index, 4 index + 4) as f32. i4 is not allowed.
  Value loadFour(OperandNumber operand, Value index, Type type);
  /// Signed integers of `bits` bits at four positions of a word, as f32.
  Value integers(Value word, std::array<uint32_t, 4> shifts, uint32_t bits);
  /// Words of a texel. 0 means that the operand is a storage buffer.
  uint32_t texelWords(OperandNumber operand) const {
    return operand < where.texels.size() ? where.texels[operand] : 0;
  }
  /// The units [first, first + count) of a large operand that this dispatch computes.
  Value firstUnit() { return b.push(kFirstUnit); }
  Value unitCount() { return b.push(kFirstUnit + 1); }

  // --- mathematics
  Value exp(Value x);
  Value log(Value x);
  Value tanh(Value x);
  Value erf(Value x);
  Value maximum(Value x, Value y); ///< NaN if either operand is NaN
  Value minimum(Value x, Value y);
  Value toInteger(Value x, int bits); ///< truncates towards zero with saturation; NaN becomes 0
  Value roundTo(Value x, Type type);
  Value activation(Activation kind, Value x);

  // --- a workgroup
  Shared shared(spirv::Type element, uint32_t count, std::string_view name);
  void addShared(uint32_t bytes) { kernel.shared_bytes += bytes; } ///< counts arrays that the builder made
  using Combine = std::function<Value(Value, Value)>;
  /// The combination of every invocation's x; all invocations receive it. `scratch` has one element for each
  /// invocation. All invocations must call this together.
  Value reduce(Shared scratch, Value x, const Combine &combine);
  uint32_t invocations() const { return kernel.local_size[0] * kernel.local_size[1]; }

private:
  uint32_t pushNumber(const Extent &extent);
  spirv::Most mostOf(const Extent &extent);
  Value floatBits(Value x, Type type); ///< the bits of f16 or bf16 in the low half
  uint32_t binding(uint32_t operand) const {
    if (auto found = coherent.find(operand); found != coherent.end()) return found->second;
    return where.bind.empty() ? operand : where.bind[operand];
  }
  Value word(uint32_t operand, Value index, uint32_t unit = 1); ///< adds the operand's offset in its binding
  uint32_t insideCount(uint32_t operands) const;
  Kernel kernel;
  const Operands where;
  std::map<uint32_t, uint32_t> coherent; ///< buffer of each operand of acrossGroups()
};

// Each file of kernels specializes these two for its specifications, and instantiates kernelOf().
template <class Spec> void emit(Emitter &e, const Spec &spec);
template <class Spec> Work workOf(const Spec &spec);

template <class Spec> SizedKernel kernelOf(const Spec &spec, const Operands &where) {
  const Work work = workOf(spec);
  Emitter e(spec.key(backend::Walk::all), backend::operandsOf(spec), work.invocations, where);
  emit(e, spec);
  return {e.finish(), work};
}

} // namespace linnet::vulkan
