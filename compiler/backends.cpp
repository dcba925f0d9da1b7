// The backends of this compiler: a line for each.
#include "backends/cpu/backend.h"
#include "backends/reference/backend.h"
#include "backends/vulkan/backend.h"

namespace linnet {
namespace {

// When the library is loaded: passes look targets up before anybody could have called a function for this.
const bool registered = [] {
  registerBackend(cpu::makeBackend());
  registerBackend(vulkan::makeBackend());
  registerBackend(reference::makeBackend());
  return true;
}();

} // namespace
} // namespace linnet
