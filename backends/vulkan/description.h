// Describes target "vulkan" to the passes.
#pragma once
#include "passes/Target.h"

namespace linnet::vulkan {

const TargetDescription &description();

} // namespace linnet::vulkan
