// What a dispatch gives, worked out by the host from the shaders' words: an answer that does not come from
// the device, for whatever operands a trial has.
#pragma once
#include "runtime/vulkan/trial/trial.h"

namespace linnet::vulkan {

/// Of a large problem some workgroups are executed: marks say which words of the results are known. An error
/// where the host does not understand a shader.
Result<Answer> hostAnswer(const Workbench &bench, const Trial &trial, const PlannedDispatch &planned);

} // namespace linnet::vulkan
