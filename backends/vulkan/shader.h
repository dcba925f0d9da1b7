// The description of a kernel in artifacts.
#pragma once
#include "backends/vulkan/kernel.h"
#include "runtime/artifact/artifact_generated.h"

namespace linnet::vulkan {

/// Describes a kernel, except its words, which are a blob of the artifact.
fb::ShaderT shaderOf(const Kernel &kernel);

} // namespace linnet::vulkan
