// A GPU that there is not: its profile says what it has, and the simulator executes the shaders' words
// (backends/vulkan/simulator). Of each dispatch it does every choice that the profile would take, not only
// the first, and compares what they give; what no device need bear (see Watch) is an error.
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
  bool scattered = false;   ///< see vulkan::SimulatedCall; workgroups run in the other order, too
  bool keeps_first = false; ///< what the first choice gives stays, not that of the first exact one
  vulkan::Watch::Unit unit = vulkan::Watch::Unit::lane;
};

/// What becomes of a shader's words before they are executed; null: nothing.
using ShaderChange = std::function<void(std::string_view shader, std::vector<uint32_t> &words)>;

std::unique_ptr<Device> simulate(const SimulatedGpu &gpu, const ShaderChange &change);

} // namespace linnet::testing
