// The device "vulkan".
#pragma once
#include "runtime/device.h"
#include "runtime/vulkan/trial/verdicts.h"

#include <functional>
#include <vector>

namespace linnet::vulkan {

/// `argument` is a number, a part of a name, or "" for the best device, which is a CPU only if there is no
/// other.
Result<std::unique_ptr<Device>> openVulkanDevice(std::string_view argument);
/// A device of the loader, and whether Linnet can use it.
struct ListedDevice {
  Inventory inventory;
  std::string kind;             ///< "CPU", "discrete GPU"
  std::string refusal;          ///< why it cannot be used; empty if it can
  std::vector<Tried> put_aside; ///< rejected kernel variants with the reasons
  size_t tried = 0;             ///< number of tried kernel variants, including rejected ones
  bool chosen = false;          ///< whether --device vulkan takes it
};
/// All devices in the order of their numbers, limited to the profile in the file `emulated` if that is not
/// empty. An error if there is no loader.
LINNET_API Result<std::vector<ListedDevice>> listDevices(const std::string &emulated = "");

/// The inventory and number of the device that `argument` selects (see openVulkanDevice).
struct FoundDevice {
  size_t number = 0;
  Inventory inventory;
};
LINNET_API Result<FoundDevice> findDevice(std::string_view argument);

/// A predicate: whether the device that `argument` selects (see openVulkanDevice) can run a shader. It does
/// not read the shader's words.
LINNET_API Result<std::function<bool(const fb::ShaderT &)>> shaderFilter(std::string_view argument);

} // namespace linnet::vulkan
