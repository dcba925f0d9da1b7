// Branches, loops, barriers and operations of subgroups.
#include "backends/vulkan/spirv/words.h"

namespace linnet::spirv {

void Builder::label(Id id) { emit(body, spv::Op::OpLabel, {id}); }
void Builder::branch(Id target) { emit(body, spv::Op::OpBranch, {target}); }

void Builder::ifThen(Value condition, const std::function<void()> &then) {
  Id yes = m.newId(), merge = m.newId();
  emit(body, spv::Op::OpSelectionMerge, {merge, word(spv::SelectionControlMask::MaskNone)});
  emit(body, spv::Op::OpBranchConditional, {condition.id, yes, merge});
  label(yes);
  then();
  branch(merge);
  label(merge);
}

void Builder::ifElse(Value condition, const std::function<void()> &then,
                     const std::function<void()> &otherwise) {
  Id yes = m.newId(), no = m.newId(), merge = m.newId();
  emit(body, spv::Op::OpSelectionMerge, {merge, word(spv::SelectionControlMask::MaskNone)});
  emit(body, spv::Op::OpBranchConditional, {condition.id, yes, no});
  label(yes);
  then();
  branch(merge);
  label(no);
  otherwise();
  branch(merge);
  label(merge);
}

Most Builder::mostOf(Value end) const {
  auto found = known.find(end.id);
  return found == known.end() ? Most() : found->second;
}

size_t Builder::beginLoop(Value end, Value step, const LoopHint &hint) {
  const Most most = hint.most ? *hint.most : mostOf(end), by = mostOf(step);
  // the loop is shared by workgroups
  const bool shared = most.by != Most::By::number && most.by != Most::By::push;
  const bool constant_step = !shared && by.by == Most::By::number && by.number != Most().number;
  loop_list.push_back({loop, most, constant_step ? by.number : 1});
  loop = int32_t(loop_list.size() - 1);
  return size_t(loop);
}

/// Adds a loop of constant size without nested loops to the steps of its enclosing loop. The step that reaches the end
/// is counted, too.
void Builder::endLoop(size_t number) {
  const Loop ended = loop_list[number];
  loop = ended.in;
  if (ended.most.by != Most::By::number || loop_list.size() > number + 1) return;
  const uint64_t rounds = (uint64_t(ended.most.number) + ended.step - 1) / ended.step;
  loop_list[size_t(loop)].inner += rounds * (1 + ended.inner) + 1;
  loop_list.pop_back();
}

void Builder::forRange(Value begin, Value end, Value step, const std::function<void(Value)> &loop_body,
                       const LoopHint &hint) {
  const size_t number = beginLoop(end, step, hint);
  Variable counter = variable(begin);
  Id header = m.newId(), test = m.newId(), inside = m.newId(), next = m.newId(), merge = m.newId();
  branch(header);
  label(header);
  auto control = hint.unroll ? spv::LoopControlMask::Unroll : spv::LoopControlMask::MaskNone;
  emit(body, spv::Op::OpLoopMerge, {merge, next, word(control)});
  branch(test);
  label(test);
  Value i = get(counter);
  emit(body, spv::Op::OpBranchConditional, {lt(i, end).id, inside, merge});
  label(inside);
  loop_body(i);
  branch(next);
  label(next);
  set(counter, add(get(counter), step));
  branch(header);
  label(merge);
  endLoop(number);
}

void Builder::memoryBarrier() {
  emit(body, spv::Op::OpMemoryBarrier, {constant(word(spv::Scope::Device)).id, constant(kBuffersOrdered).id});
}

void Builder::barrier() {
  Id workgroup = constant(word(spv::Scope::Workgroup)).id;
  uint32_t semantics =
      word(spv::MemorySemanticsMask::WorkgroupMemory) | word(spv::MemorySemanticsMask::AcquireRelease);
  if (vulkan_memory)
    semantics |= word(spv::MemorySemanticsMask::MakeAvailable) | word(spv::MemorySemanticsMask::MakeVisible);
  emit(body, spv::Op::OpControlBarrier, {workgroup, workgroup, constant(semantics).id});
}

Value Builder::subgroupReduce(SubgroupOp which, Value value) {
  m.capability(spv::Capability::GroupNonUniformArithmetic);
  bool real = isFloat(value.type);
  spv::Op opcode =
      which == SubgroupOp::add   ? (real ? spv::Op::OpGroupNonUniformFAdd : spv::Op::OpGroupNonUniformIAdd)
      : which == SubgroupOp::max ? (real ? spv::Op::OpGroupNonUniformFMax : spv::Op::OpGroupNonUniformUMax)
                                 : (real ? spv::Op::OpGroupNonUniformFMin : spv::Op::OpGroupNonUniformUMin);
  return op(opcode, value.type,
            {constant(word(spv::Scope::Subgroup)).id, word(spv::GroupOperation::Reduce), value.id});
}
Value Builder::subgroupBroadcastFirst(Value value) {
  m.capability(spv::Capability::GroupNonUniformBallot);
  return op(spv::Op::OpGroupNonUniformBroadcastFirst, value.type,
            {constant(word(spv::Scope::Subgroup)).id, value.id});
}
Value Builder::subgroupBroadcast(Value value, uint32_t lane) {
  m.capability(spv::Capability::GroupNonUniformBallot);
  return op(spv::Op::OpGroupNonUniformBroadcast, value.type,
            {constant(word(spv::Scope::Subgroup)).id, value.id, constant(lane).id});
}
Value Builder::subgroupShuffleXor(Value value, Value mask) {
  m.capability(spv::Capability::GroupNonUniformShuffle);
  return op(spv::Op::OpGroupNonUniformShuffleXor, value.type,
            {constant(word(spv::Scope::Subgroup)).id, value.id, mask.id});
}

} // namespace linnet::spirv
