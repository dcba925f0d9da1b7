// Products in 16-bit arithmetic on a device that has it, be it a CPU.
#pragma once
#include "tests/ops/agreement.h"

#include <optional>

namespace linnet::testing {

/// Nothing where the device under test lacks it.
std::optional<Runner> halvesRunner();

} // namespace linnet::testing
