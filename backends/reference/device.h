// A device of the runtime that runs the interpreter. It executes the module that is stored in a program for target
// "reference".
#pragma once
#include "runtime/device.h"

#include <memory>

namespace linnet::reference {

/// Makes the device "reference", which is slow and exact. It needs MLIR, so it is linked to the compiler and not to the
/// runtime. With `checks`, a run fails if an op returns a number that is not finite; the error names the first such op.
std::unique_ptr<Device> makeDevice(bool checks = false);

} // namespace linnet::reference
