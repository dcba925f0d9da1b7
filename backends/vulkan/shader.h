// A kernel as artifacts describe it.
#pragma once
#include "backends/vulkan/kernel.h"
#include "runtime/artifact/artifact_generated.h"

namespace linnet::vulkan {

/// All but the words, which are a blob of the artifact.
fb::ShaderT shaderOf(const Kernel &kernel);

} // namespace linnet::vulkan
