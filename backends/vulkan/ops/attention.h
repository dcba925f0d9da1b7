// Parts of all attention kernels: the keys that a query sees, and its scores.
#pragma once
#include "backends/vulkan/emitter.h"
#include "backends/vulkan/kernels.h"

namespace linnet::vulkan {

std::string attentionName(const VulkanAttentionSpec &spec);

/// The past or length of a sequence.
inline Value ofSequence(Emitter &e, const AttentionSpec &spec, AttentionSpec::Operand operand,
                        Value sequence) {
  return e.b.bitcast(e.load(positionOf(spec, operand), sequence, Type::i32), Builder::u32());
}

/// The end of the keys that query t of the sequence sees.
inline Value endOfKeys(Emitter &e, const AttentionSpec &spec, Value sequence, Value t) {
  using Operand = AttentionSpec::Operand;
  Builder &b = e.b;
  Value past = spec.past ? ofSequence(e, spec, Operand::past, sequence) : e.u(0);
  Value end = b.add(past, spec.causal ? b.add(t, e.u(1)) : e.extent(spec.queries));
  if (spec.length) end = b.min(end, b.add(past, ofSequence(e, spec, Operand::length, sequence)));
  return b.min(end, e.extent(spec.capacity));
}

/// The first key that query t of the sequence sees, at most `end`. Null if there is no window; the first key is then 0.
inline Value beginOfKeys(Emitter &e, const AttentionSpec &spec, Value sequence, Value t, Value end) {
  if (!spec.window) return {};
  Builder &b = e.b;
  Value past = spec.past ? ofSequence(e, spec, AttentionSpec::Operand::past, sequence) : e.u(0);
  Value position = b.add(b.add(past, t), e.u(1));
  return b.min(b.sub(position, b.min(position, e.u(uint64_t(spec.window)))), end);
}

/// The key head of head `head`. Both are indices over the heads of all sequences.
template <class Spec> Value keyHeadOf(Emitter &e, const Spec &spec, Value head) {
  return spec.key_group == 1 ? head : e.b.div(head, e.u(uint64_t(spec.key_group)));
}

/// cap tanh(score / cap), or the score if there is no cap.
template <class Spec> Value capped(Emitter &e, const Spec &spec, Value score) {
  if (spec.cap == 0) return score;
  return e.b.mul(e.tanh(e.b.mul(score, e.f(1 / double(spec.cap)))), e.f(spec.cap));
}

inline Value sumOfFour(Builder &b, Value four) {
  return b.add(b.add(b.extract(four, 0), b.extract(four, 1)), b.add(b.extract(four, 2), b.extract(four, 3)));
}

} // namespace linnet::vulkan
