// Matmuls in 16-bit arithmetic on a device that has it, including CPUs.
#pragma once
#include "tests/ops/agreement.h"

#include <optional>

namespace linnet::testing {

/// The runner, or nothing if the device under test lacks 16-bit arithmetic.
std::optional<Runner> halvesRunner();

} // namespace linnet::testing
