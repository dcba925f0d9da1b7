// Registers the backends of this compiler, one line per backend.
#include "backends/cpu/backend.h"
#include "backends/reference/backend.h"
#include "backends/vulkan/backend.h"

namespace linnet {
namespace {

// Runs when the library is loaded, because passes look targets up before any other function is called.
const bool registered = [] {
  registerBackend(cpu::makeBackend());
  registerBackend(vulkan::makeBackend());
  registerBackend(reference::makeBackend());
  return true;
}();

} // namespace
} // namespace linnet
