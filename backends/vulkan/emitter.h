// What the generators of Vulkan kernels share on top of the SPIR-V builder: sizes that a call decides as push
// constants, elements of every type in buffers of 32-bit words, reductions in a workgroup, functions that
// SPIR-V lacks or leaves imprecise.
#pragma once
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
  /// A constant, or a push constant where a call decides.
  Value extent(const Extent &extent);
  /// A push constant of its own even where no call decides, so that one kernel serves every size.
  Value anySize(const Extent &extent);
  /// The same of a loop's most steps, where the end that it has is computed.
  spirv::LoopHint atMost(const Extent &extent) { return {.most = mostOf(extent)}; }
  /// for (i = first; i < end; i += step), the number of workgroups deciding the step: where a device counts
  /// to enough of them, one item for each invocation, `each` groups for each workgroup.
  void forItems(Value items, const std::function<void(Value item)> &body);
  void forItems(const Extent &items, const std::function<void(Value item)> &body) {
    forItems(extent(items), body);
  }
  void forGroups(Value end, const std::function<void(Value group)> &body, int axis = 0, uint32_t each = 1);
  /// Of `size` elements those of number `lane`, lane + lanes, ...; i counts them for this invocation.
  void forOwn(Value lane, uint32_t lanes, uint32_t size,
              const std::function<void(uint32_t i, Value at)> &body);
  /// The units of this dispatch, an invocation or a workgroup each: where a unit is in operands that are
  /// bound in parts or not, and its number among all.
  struct Unit {
    Value at, number;
  };
  void forUnits(bool in_parts, const std::function<void(Unit)> &body);
  void forUnitsByGroup(bool in_parts, const std::function<void(Unit)> &body);

  // --- elements: floats of every width are f32, integers i32
  Value load(OperandNumber operand, Value index, Type type);
  void store(OperandNumber operand, Value index, Type type, Value value);
  /// The index with the operand's offset added; load and store do it themselves.
  Value at(uint32_t operand, Value index);
  /// From here on load, store and atomicAdd see what other workgroups write to the operand.
  void acrossGroups(uint32_t operand) { coherent[operand] = b.coherent(binding(operand)); }
  Value atomicAdd(uint32_t operand, Value index, Value what) {
    return b.atomicAdd(binding(operand), word(operand, at(operand, index)), what);
  }
  bool beginsInside(uint32_t operand) const { return where.inside >> operand & 1; }
  /// Words [4 index, 4 index + 4) of an operand as f32, [2 index, 2 index + 2) as u32, word `index` as i32.
  /// Not of one that this kernel writes, nor of one that begins inside its memory.
  Value load4(OperandNumber operand, Value index);
  Value load2(OperandNumber operand, Value index);
  Value loadWord(OperandNumber operand, Value index);
  /// Elements [4 index, 4 index + 4) as f32. Not of i4.
  Value loadFour(OperandNumber operand, Value index, Type type);
  /// Signed integers of `bits` bits in a word as f32.
  Value integers(Value word, std::array<uint32_t, 4> shifts, uint32_t bits);
  /// 0: the operand is a storage buffer.
  uint32_t texelWords(OperandNumber operand) const {
    return operand < where.texels.size() ? where.texels[operand] : 0;
  }
  /// The units of a large operand that this dispatch computes: [first, first + count).
  Value firstUnit() { return b.push(kFirstUnit); }
  Value unitCount() { return b.push(kFirstUnit + 1); }

  // --- mathematics
  Value exp(Value x);
  Value log(Value x);
  Value tanh(Value x);
  Value erf(Value x);
  Value maximum(Value x, Value y); ///< NaN if either is
  Value minimum(Value x, Value y);
  Value toInteger(Value x, int bits); ///< towards zero, saturating; NaN is 0
  Value roundTo(Value x, Type type);
  Value activation(Activation kind, Value x);

  // --- a workgroup
  Shared shared(spirv::Type element, uint32_t count, std::string_view name);
  void addShared(uint32_t bytes) { kernel.shared_bytes += bytes; } ///< of arrays that the builder made
  using Combine = std::function<Value(Value, Value)>;
  /// The combination of every invocation's x, known to all; `scratch` holds one element an invocation. All
  /// invocations must get here together.
  Value reduce(Shared scratch, Value x, const Combine &combine);
  uint32_t invocations() const { return kernel.local_size[0] * kernel.local_size[1]; }

private:
  uint32_t pushNumber(const Extent &extent);
  spirv::Most mostOf(const Extent &extent);
  Value floatBits(Value x, Type type); ///< f16 or bf16 in the low half
  uint32_t binding(uint32_t operand) const {
    if (auto found = coherent.find(operand); found != coherent.end()) return found->second;
    return where.bind.empty() ? operand : where.bind[operand];
  }
  Value word(uint32_t operand, Value index, uint32_t unit = 1); ///< behind the operand's place in its binding
  uint32_t insideCount(uint32_t operands) const;
  Kernel kernel;
  const Operands where;
  std::map<uint32_t, uint32_t> coherent; ///< operands' buffers, see acrossGroups()
};

} // namespace linnet::vulkan
