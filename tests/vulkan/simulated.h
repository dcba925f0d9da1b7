// Runners on GPUs that there are not: simulated_runners.cpp.
#pragma once
#include "tests/ops/agreement.h"
#include "tests/vulkan/simulated_device.h"

namespace linnet::testing {

/// On the device of that name, with what becomes of shaders' words.
Runner simulatedRunner(const std::string &device, const ShaderChange &change);

} // namespace linnet::testing
