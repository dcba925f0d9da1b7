// Products in 16-bit arithmetic on a device that has it, be it a CPU.
#pragma once
#include "tests/cpu/path.h"

#include <optional>

namespace linnet::cpu::testing {

/// Nothing where the device under test lacks it.
std::optional<Runner> halvesRunner();

} // namespace linnet::cpu::testing
