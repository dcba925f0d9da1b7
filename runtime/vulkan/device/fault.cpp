#include "runtime/vulkan/device/fault.h"
#include "support/error.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace linnet::vulkan {
namespace {

constexpr std::pair<std::string_view, Fault> kFaults[] = {{"wrong", Fault::wrong},
                                                          {"refused", Fault::refused},
                                                          {"crashes", Fault::crashes},
                                                          {"hangs", Fault::hangs},
                                                          {"loses", Fault::loses}};

struct Wanted {
  Fault fault;
  std::string_view part;
};

Result<std::vector<Wanted>> wantedFaults() {
  constexpr const char *kVariable = "LINNET_VULKAN_FAULT";
  const char *variable = std::getenv(kVariable);
  std::vector<Wanted> wanted;
  for (std::string_view rest = variable ? variable : ""; !rest.empty();) {
    const std::string_view one = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(one.size() + 1, rest.size()));
    const size_t colon = one.find(':');
    auto named = std::find_if(std::begin(kFaults), std::end(kFaults),
                              [&](const auto &known) { return known.first == one.substr(0, colon); });
    if (colon == std::string_view::npos || colon + 1 == one.size() || named == std::end(kFaults))
      return errorf("{}: expected KIND:PART, KIND one of wrong, refused, crashes, hangs, loses, found '{}'",
                    kVariable, one);
    wanted.push_back({named->second, one.substr(colon + 1)});
  }
  return wanted;
}

} // namespace

Result<void> checkFaults() {
  auto wanted = wantedFaults();
  return wanted ? Result<void>() : wanted.error();
}

Fault faultOf(std::string_view shader) {
  if (auto wanted = wantedFaults())
    for (const auto &[fault, part] : *wanted)
      if (shader.find(part) != std::string_view::npos) return fault;
  return Fault::none;
}

std::vector<uint32_t> madeWrong(std::span<const std::byte> bytes) {
  constexpr uint32_t kExtInst = 12, kFAdd = 129, kFSub = 131; // opcodes
  constexpr uint32_t kFMix = 46, kFma = 50; // instructions of GLSL.std.450 with three operands
  constexpr size_t kHeaderWords = 5;
  std::vector<uint32_t> words(bytes.size() / 4);
  std::memcpy(words.data(), bytes.data(), words.size() * 4);
  for (size_t i = kHeaderWords; i < words.size();) {
    uint32_t length = words[i] >> 16, opcode = words[i] & 0xffff;
    if (length == 0) break;
    if (opcode == kFAdd) words[i] = length << 16 | kFSub;
    if (opcode == kExtInst && length == 8 && words[i + 4] == kFma) words[i + 4] = kFMix;
    i += length;
  }
  return words;
}

} // namespace linnet::vulkan
