// What passes know of target "vulkan".
#pragma once
#include "passes/Target.h"

namespace linnet::vulkan {

const TargetDescription &description();

} // namespace linnet::vulkan
