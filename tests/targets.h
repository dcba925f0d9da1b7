// Registers the targets of the shipped backends, for tests of passes without the compiler library.
#pragma once
#include "backends/cpu/description.h"
#include "backends/reference/description.h"
#include "backends/vulkan/description.h"
#include "passes/Passes.h"

namespace linnet::testing {

/// Registers passes and targets. May be called repeatedly.
inline void registerPassesAndTargets() {
  registerPasses();
  registerTarget(cpu::description());
  registerTarget(vulkan::description());
  registerTarget(reference::description());
}

} // namespace linnet::testing
