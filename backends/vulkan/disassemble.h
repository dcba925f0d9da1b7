// SPIR-V as text.
#pragma once
#include <cstdint>
#include <span>
#include <string>

namespace linnet::vulkan {

/// Returns the text that spirv-dis writes. If SPIRV-Tools rejects the module, the text is a line about that, then
/// numbers.
std::string disassemble(std::span<const uint32_t> words);

} // namespace linnet::vulkan
