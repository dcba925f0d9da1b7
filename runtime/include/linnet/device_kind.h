// What a model runs on, for programs that must know more than a device's name.
#pragma once
#include <cstdint>

namespace linnet {

/// Whose arithmetic a device uses, and who made the code for it.
enum class DeviceKind : uint8_t {
  Processor, ///< this machine's processor, by Linnet's own code: targets cpu and reference
  Driver,    ///< this machine's processor, by a Vulkan driver that stands in for a GPU
  Gpu        ///< any other Vulkan device; one whose driver does not say what it is counts as such
};

} // namespace linnet
