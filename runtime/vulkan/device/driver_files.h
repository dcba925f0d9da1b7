// Finds the driver files of Vulkan's loader and their faults, because the loader reports a damaged file as
// "out of memory".
#pragma once
#include "runtime/vulkan/device/api.h"
#include "support/result.h"

#include <string>
#include <vector>

namespace linnet::vulkan {

/// The driver files in the loader's order: those of VK_DRIVER_FILES or VK_ICD_FILENAMES, else every .json of
/// the folders that it searches; then those of VK_ADD_DRIVER_FILES.
std::vector<std::string> driverFiles();

/// Why the loader cannot use a driver file, as a line that begins with its path; empty if it can.
std::string driverFileFault(const std::string &path);

/// The error after vkCreateInstance failed: the first unusable driver file, else the text of `result`.
Error startError(VkResult result);

/// The error if the drivers list no device. It names their files and the first unusable one.
Error noDeviceError();

} // namespace linnet::vulkan
