// Devices whose work does not end. A driver may touch the memory, the pipelines and the descriptors of what
// was submitted for as long as it runs, on a CPU in threads of its own, so nothing of it is destroyed: it is
// put here and looked at again. No thread of ours waits for it.
//
// When the process ends, work that was only slow is waited for (a moment) and then taken down in order,
// before the driver's own exit handlers run: they were registered earlier, when it was loaded. Work that
// truly hangs is left as it is.
#pragma once
#include "linnet/api.h"
#include "runtime/vulkan/device/context.h"

#include <memory>

namespace linnet::vulkan {

/// `users`: what was made on `context`'s device. It is destroyed when the work has ended, perhaps after
/// everything else that it was made from; so its destructor may use the context and nothing else.
void abandon(std::shared_ptr<Context> context, std::shared_ptr<void> users);
/// Destroys what has come to an end within `seconds` after all; returns how many devices have not.
LINNET_API size_t reclaimAbandoned(uint32_t seconds = 0);

} // namespace linnet::vulkan
