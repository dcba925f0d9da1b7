// The device "cpu": executes generated kernels and the library's matmuls on the processor.
#pragma once
#include "runtime/device.h"

namespace linnet::cpu {

/// No argument is known yet; one is an error.
Result<std::unique_ptr<Device>> openCpuDevice(std::string_view argument);

} // namespace linnet::cpu
