// The interpreter behind the runtime's device seam: executes the module that a program for target "reference"
// carries.
#pragma once
#include "runtime/device.h"

#include <memory>

namespace linnet::reference {

/// The device "reference". Slow and exact; needs MLIR, so it lives with the compiler and not in the runtime.
std::unique_ptr<Device> makeDevice();

} // namespace linnet::reference
