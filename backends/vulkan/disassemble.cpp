#include "backends/vulkan/disassemble.h"

#include <fmt/format.h>
#include <spirv-tools/libspirv.h>

#include <algorithm>

namespace linnet::vulkan {
namespace {

/// Prints one instruction on each line: its opcode and its operands as numbers.
std::string instructions(std::span<const uint32_t> words) {
  constexpr size_t kHeaderWords = 5;
  std::string lines =
      "; SPIRV-Tools does not know an instruction of this module: opcodes and operands as numbers\n";
  for (size_t i = kHeaderWords; i < words.size();) {
    const size_t length = std::clamp<size_t>(words[i] >> 16, 1, words.size() - i);
    lines += fmt::format("{:>6}", words[i] & 0xffff);
    for (size_t j = 1; j < length; ++j) lines += fmt::format(" {}", words[i + j]);
    lines += '\n';
    i += length;
  }
  return lines;
}

} // namespace

std::string disassemble(std::span<const uint32_t> words) {
  const spv_context context = spvContextCreate(SPV_ENV_VULKAN_1_1);
  spv_text text = nullptr;
  const spv_result_t result = spvBinaryToText(
      context, words.data(), words.size(),
      SPV_BINARY_TO_TEXT_OPTION_FRIENDLY_NAMES | SPV_BINARY_TO_TEXT_OPTION_INDENT, &text, nullptr);
  std::string disassembly =
      result == SPV_SUCCESS ? std::string(text->str, text->length) : instructions(words);
  spvTextDestroy(text);
  spvContextDestroy(context);
  return disassembly;
}

} // namespace linnet::vulkan
