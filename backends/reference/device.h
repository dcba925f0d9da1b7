// The interpreter behind the runtime's device seam: executes the module that a program for target "reference"
// carries.
#pragma once
#include "runtime/device.h"

#include <memory>

namespace linnet::reference {

/// The device "reference". Slow and exact; needs MLIR, so it lives with the compiler and not in the runtime.
/// With `checks`, a run in which an op gives a number that is not finite fails, and names the first such op.
std::unique_ptr<Device> makeDevice(bool checks = false);

} // namespace linnet::reference
