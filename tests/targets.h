// The targets that shipped backends describe, for tests of passes without the compiler library.
#pragma once
#include "backends/cpu/description.h"
#include "backends/reference/description.h"
#include "backends/vulkan/description.h"
#include "passes/Passes.h"

namespace linnet::testing {

/// Passes and targets, known from now on. May be called again.
inline void registerPassesAndTargets() {
  registerPasses();
  registerTarget(cpu::description());
  registerTarget(vulkan::description());
  registerTarget(reference::description());
}

} // namespace linnet::testing
