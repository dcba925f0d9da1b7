// A simulated GPU. Its profile defines its features, and the simulator executes the shaders
// (backends/vulkan/simulator). It runs every choice of a dispatch that the profile can use, not only the
// first one, and compares their results. Behaviour that a device need not support (see Watch) is an error.
#pragma once
#include "backends/vulkan/simulator/watch.h"
#include "runtime/device.h"
#include "runtime/vulkan/device/inventory.h"

#include <functional>
#include <string_view>
#include <vector>

namespace linnet::testing {

struct SimulatedGpu {
  vulkan::Inventory inventory;
  bool scattered = false;   ///< see vulkan::SimulatedCall; workgroups also run in reverse order
  bool keeps_first = false; ///< keeps the results of the first choice instead of the first exact one
  vulkan::Watch::Unit unit = vulkan::Watch::Unit::lane;
};

/// Modifies a shader's words before they are executed; may be null.
using ShaderChange = std::function<void(std::string_view shader, std::vector<uint32_t> &words)>;

std::unique_ptr<Device> simulate(const SimulatedGpu &gpu, const ShaderChange &change);

} // namespace linnet::testing
