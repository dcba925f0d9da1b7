// SPIR-V as text.
#pragma once
#include <cstdint>
#include <span>
#include <string>

namespace linnet::vulkan {

/// As spirv-dis writes it. If SPIRV-Tools rejects the words: a line that says so, then numbers.
std::string disassemble(std::span<const uint32_t> words);

} // namespace linnet::vulkan
