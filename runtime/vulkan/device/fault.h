// Faults of a driver, made on purpose: tests show that trials catch them. The variable
// LINNET_VULKAN_FAULT holds KIND:PART, several with commas: each shader with PART in its name has that fault,
// wherever it is used.
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
  wrong,   ///< "wrong": it computes something else
  refused, ///< "refused": it does not compile
  crashes, ///< "crashes": compiling it ends the process
  hangs,   ///< "hangs": a trial of it gives up at once, with the work still under way
  loses,   ///< "loses": a trial of it finds the device lost
};
Fault faultOf(std::string_view shader);
/// An error where the variable holds something else.
Result<void> checkFaults();

/// SPIR-V that computes with differences where there were sums; it touches the same memory.
std::vector<uint32_t> madeWrong(std::span<const std::byte> words);

} // namespace linnet::vulkan
