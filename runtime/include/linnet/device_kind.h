// Kinds of devices, for programs that need more than a device's name.
#pragma once
#include <cstdint>

namespace linnet {

/// The hardware that computes, and the origin of its code.
enum class DeviceKind : uint8_t {
  Processor, ///< this machine's CPU, with Linnet's code: targets cpu and reference
  Driver,    ///< this machine's CPU, with code of a Vulkan driver (llvmpipe, SwiftShader)
  Gpu        ///< any other Vulkan device, including devices whose driver reports no type
};

} // namespace linnet
