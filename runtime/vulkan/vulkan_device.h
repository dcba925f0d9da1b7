// The device "vulkan".
#pragma once
#include "runtime/device.h"
#include "runtime/vulkan/trial/verdicts.h"

#include <functional>
#include <vector>

namespace linnet::vulkan {

/// `argument`: "" the best device that is no CPU, a number, or part of a name.
Result<std::unique_ptr<Device>> openVulkanDevice(std::string_view argument);
/// A device that the loader knows, and what Linnet makes of it.
struct ListedDevice {
  Inventory inventory;
  std::string kind;             ///< "CPU", "discrete GPU"
  std::string refusal;          ///< why it cannot be used; empty: it can
  std::vector<Tried> put_aside; ///< kernel variants that are not used, and why
  size_t tried = 0;             ///< kernel variants that are known, those put aside included
  bool chosen = false;          ///< for --device vulkan
};
/// All of them, in the order of their numbers; as poor as the profile in the file `emulated`, if not empty.
/// An error where there is no loader.
LINNET_API Result<std::vector<ListedDevice>> listDevices(const std::string &emulated = "");

/// What the device that `argument` means (as for openVulkanDevice) has, and its number.
struct FoundDevice {
  size_t number = 0;
  Inventory inventory;
};
LINNET_API Result<FoundDevice> findDevice(std::string_view argument);

/// Says whether the device that `argument` means (as for openVulkanDevice) can run a shader, its words aside.
LINNET_API Result<std::function<bool(const fb::ShaderT &)>> shaderFilter(std::string_view argument);

} // namespace linnet::vulkan
