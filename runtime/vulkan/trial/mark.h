// The origin of a 32-bit word of an answer. The simulator that computes known answers writes these marks.
#pragma once
#include <cstdint>

namespace linnet::vulkan {

/// Unknown, the operand's initial word, or the result of a step: step i of a dispatch has kFirstStep + i.
using Mark = uint8_t;
inline constexpr Mark kUnknown = 0, kFilled = 1, kFirstStep = 2, kMostSteps = 200;

} // namespace linnet::vulkan
