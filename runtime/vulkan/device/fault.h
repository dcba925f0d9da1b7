// Injects driver faults, so that tests can verify that trials detect them. The variable LINNET_VULKAN_FAULT
// holds KIND:PART, several separated by commas. Each shader with PART in its name has that fault wherever it
// is used.
#pragma once
#include "support/result.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace linnet::vulkan {

enum class Fault : uint8_t {
  none,
  wrong,   ///< "wrong": its results are wrong
  refused, ///< "refused": it does not compile
  crashes, ///< "crashes": compiling it ends the process
  hangs,   ///< "hangs": its trial times out at once, with the work still running
  loses,   ///< "loses": its trial loses the device
};
Fault faultOf(std::string_view shader);
/// An error if the variable is malformed.
Result<void> checkFaults();

/// The SPIR-V with differences instead of sums. It accesses the same memory.
std::vector<uint32_t> madeWrong(std::span<const std::byte> words);

} // namespace linnet::vulkan
