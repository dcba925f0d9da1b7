#include "compiler/dump/assembly.h"

#include <fmt/format.h>
#include <spirv-tools/libspirv.h>

#include <algorithm>

namespace linnet::dump {

std::vector<std::pair<std::string, std::string>> splitAssembly(std::string_view text) {
  constexpr std::string_view kBegin = "-- Begin function ", kEnd = "-- End function";
  std::vector<std::pair<std::string, std::string>> functions;
  for (size_t from = 0;;) {
    const size_t begin = text.find(kBegin, from);
    const size_t end = begin == text.npos ? text.npos : text.find(kEnd, begin);
    if (end == text.npos) break;
    const size_t name = begin + kBegin.size();
    const size_t stop = std::min(text.find('\n', end), text.size() - 1) + 1;
    functions.emplace_back(text.substr(name, text.find_first_of(" \t\n", name) - name),
                           text.substr(from, stop - from));
    from = stop;
  }
  if (functions.empty()) functions.emplace_back("kernels", text);
  return functions;
}

namespace {

/// An instruction a line: its opcode and its operands as numbers.
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

} // namespace linnet::dump
