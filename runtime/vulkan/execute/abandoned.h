// Devices with work that does not end. While a submission runs, a driver may use its memory, pipelines and descriptors,
// on a CPU in separate threads. So they are not destroyed but kept here and polled later. No thread of the runtime
// waits.
//
// When the process ends, slow work is waited for briefly and then destroyed in order. That happens before the driver's
// exit handlers run, because those were registered earlier, when the driver was loaded. Work that hangs is not touched.
#pragma once
#include "linnet/api.h"
#include "runtime/vulkan/device/context.h"

#include <memory>

namespace linnet::vulkan {

/// Keeps `users`, objects of `context`'s device, until the device's work has ended. They may outlive all
/// other objects, so their destructors may use only the context.
void abandon(std::shared_ptr<Context> context, std::shared_ptr<void> users);
/// Waits at most `seconds` and destroys the objects whose work has ended. Returns the number of devices that
/// still run.
LINNET_API size_t reclaimAbandoned(uint32_t seconds = 0);

} // namespace linnet::vulkan
