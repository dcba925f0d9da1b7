// What a trial's operands hold: pseudo-random numbers, the same for whoever works out the answer.
#pragma once
#include "runtime/vulkan/trial/trial.h"

namespace linnet::vulkan {

/// What is filled and compared of an operand at most.
constexpr uint64_t kMostOfOperand = uint64_t(4) << 20;

/// The part of an operand that is filled and compared: about twice what a problem of this size touches, if
/// the operand grows with every symbol. An operand's shape is not known here; the rest of it is the same
/// before each run, so a guess that is too small makes a weaker test and no wrong one.
uint64_t extentOf(const Workbench &bench, const Trial &trial, const fb::Ref &ref);

/// The first bytes of operand `arg`; counters are zero. False: a weight, which holds what it holds.
bool operandBytes(const Workbench &bench, const Trial &trial, uint32_t arg, std::vector<std::byte> &bytes);

} // namespace linnet::vulkan
