// A shader, and the words on which the simulator executes it.
#pragma once
#include "backends/vulkan/simulator/workgroup.h"
#include "backends/vulkan/spirv/builder.h"

#include <bit>
#include <random>
#include <vector>

namespace linnet::testing {

using namespace linnet::vulkan;

inline constexpr uint64_t kEnough = 1 << 24;

/// One binding per list of words. All words except those of the outputs are known.
struct Bench {
  std::vector<std::vector<uint32_t>> words;
  std::vector<std::vector<Mark>> marks;
  SimulatedCall call;

  using Words = std::vector<uint32_t>;
  explicit Bench(std::vector<Words> given, std::vector<uint32_t> push = {}) : words(std::move(given)) {
    call.push = std::move(push);
    for (auto &list : words) marks.emplace_back(list.size(), kFilled);
    for (size_t i = 0; i < words.size(); ++i)
      call.bindings.push_back({{{0, words[i].size(), words[i].data(), marks[i].data()}}});
  }
  Result<bool> run(const spirv::Words &code, uint64_t work = kEnough) {
    LINNET_ASSIGN(const SpirvCode parsed, SpirvCode::parse(std::as_bytes(std::span(code))));
    return Workgroup(parsed, call).run({0, 0, 0}, work);
  }
  float number(size_t binding, size_t i) const { return std::bit_cast<float>(words[binding][i]); }
};

inline std::vector<uint32_t> bits(const std::vector<float> &values) {
  std::vector<uint32_t> words;
  for (float value : values) words.push_back(std::bit_cast<uint32_t>(value));
  return words;
}

/// `code` with some words changed or its end removed.
inline spirv::Words damaged(const spirv::Words &code, std::mt19937 &random, int round) {
  spirv::Words damaged = code;
  for (int k = 0; k < 1 + round % 3; ++k) {
    uint32_t &word = damaged[random() % damaged.size()];
    switch (random() % 4) {
    case 0:
      word = static_cast<uint32_t>(random());
      break;
    case 1:
      word ^= 1u << random() % 32;
      break;
    case 2:
      word = code[random() % code.size()];
      break;
    default:
      word = static_cast<uint32_t>(random() % 64);
    }
  }
  if (round % 10 == 0) damaged.resize(random() % damaged.size());
  return damaged;
}

} // namespace linnet::testing
