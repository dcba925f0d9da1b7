// The device "cpu": executes generated kernels and the library's matmuls on the processor.
#pragma once
#include "runtime/device.h"

namespace linnet::cpu {

/// `argument` must be empty: the device has no arguments.
Result<std::unique_ptr<Device>> openCpuDevice(std::string_view argument);

} // namespace linnet::cpu
