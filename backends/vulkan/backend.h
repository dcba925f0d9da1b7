// Target "vulkan": compute shaders in SPIR-V.
#pragma once
#include "backends/common/backend.h"

namespace linnet::vulkan {

/// The backend asks the runtime which devices this machine has. Link linnet_runtime, too.
std::unique_ptr<Backend> makeBackend();

} // namespace linnet::vulkan
