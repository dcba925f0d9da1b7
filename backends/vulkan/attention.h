// What the kernels of attention share.
#pragma once
#include "backends/vulkan/emitter.h"
#include "backends/vulkan/kernels.h"

namespace linnet::vulkan {

std::string attentionName(const VulkanAttentionSpec &spec);

/// A sequence's past or length.
inline Value ofSequence(Emitter &e, const AttentionSpec &spec, AttentionSpec::Operand operand,
                        Value sequence) {
  return e.b.bitcast(e.load(positionOf(spec, operand), sequence, Type::i32), Builder::u32());
}

/// One past the last key that query t of the sequence sees.
inline Value endOfKeys(Emitter &e, const AttentionSpec &spec, Value sequence, Value t) {
  using Operand = AttentionSpec::Operand;
  Builder &b = e.b;
  Value past = spec.past ? ofSequence(e, spec, Operand::past, sequence) : e.u(0);
  Value end = b.add(past, spec.causal ? b.add(t, e.u(1)) : e.extent(spec.queries));
  if (spec.length) end = b.min(end, b.add(past, ofSequence(e, spec, Operand::length, sequence)));
  return b.min(end, e.extent(spec.capacity));
}

inline Value sumOfFour(Builder &b, Value four) {
  return b.add(b.add(b.extract(four, 0), b.extract(four, 1)), b.add(b.extract(four, 2), b.extract(four, 3)));
}

} // namespace linnet::vulkan
