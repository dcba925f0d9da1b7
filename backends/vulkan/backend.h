// Target "vulkan": compute shaders in SPIR-V.
#pragma once
#include "backends/common/backend.h"

namespace linnet::vulkan {

/// Needs symbols of the runtime, which knows this machine's devices: link linnet_runtime next to it.
std::unique_ptr<Backend> makeBackend();

} // namespace linnet::vulkan
