// The files that tell Vulkan's loader which drivers there are, and what is wrong with them: the loader's own
// error for a damaged one is "out of memory".
#pragma once
#include "runtime/vulkan/device/api.h"
#include "support/result.h"

#include <string>
#include <vector>

namespace linnet::vulkan {

/// In the loader's order: what VK_DRIVER_FILES or VK_ICD_FILENAMES name, else every .json of the folders that
/// it searches, then what VK_ADD_DRIVER_FILES names.
std::vector<std::string> driverFiles();

/// Why the loader cannot use a driver file, as a line that begins with its path; empty: it can.
std::string driverFileFault(const std::string &path);

/// The error of an instance that could not be made: the first unusable driver file, else what `result` says.
Error startError(VkResult result);

/// The error of drivers that list no device: their files, and the first of these that is unusable.
Error noDeviceError();

} // namespace linnet::vulkan
