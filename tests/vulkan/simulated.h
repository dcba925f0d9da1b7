// Runners on simulated GPUs: simulated_runners.cpp.
#pragma once
#include "tests/ops/agreement.h"
#include "tests/vulkan/simulated_device.h"

namespace linnet::testing {

/// A runner on the device of that name. `change` modifies the words of its shaders.
Runner simulatedRunner(const std::string &device, const ShaderChange &change);

} // namespace linnet::testing
