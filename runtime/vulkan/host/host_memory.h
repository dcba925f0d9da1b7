// Memory of a device as the host keeps it beside, with what of it is known.
#pragma once
#include "runtime/vulkan/host/watch.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <vector>

namespace linnet::vulkan {

/// What is known of a 32-bit word: nothing, or that it holds what the device's does. Steps of a dispatch that
/// write it number it from kFirstStep on.
using Mark = uint8_t;
constexpr Mark kUnknown = 0, kFilled = 1, kFirstStep = 2, kMostHostSteps = 200;

/// Words [begin, end) behind a binding's first. Without marks all are known, and only read.
struct Segment {
  uint64_t begin = 0, end = 0;
  uint32_t *data = nullptr;
  Mark *marks = nullptr;
  WordLog *log = nullptr; ///< null: nobody watches
};

/// What is bound at one binding.
struct HostBinding {
  std::vector<Segment> segments;
  uint32_t texel_words = 0; ///< of a texel buffer
  const Segment *find(uint64_t word) const {
    for (const Segment &s : segments)
      if (word >= s.begin && word < s.end) return &s;
    return nullptr;
  }
};

/// Parts of a device's buffers. Costs memory only where something is written.
class HostMemory {
public:
  /// `watched`: it is noted who touches a word.
  explicit HostMemory(bool watched = false) : watched(watched) {}
  /// Bytes [begin, end) of a buffer, of which nothing is known; false: there is no memory. Multiples of 4.
  /// Not to overlap with others.
  bool add(uint32_t buffer, uint64_t begin, uint64_t end);
  /// Bytes from `begin` on that are only read.
  void show(uint32_t buffer, uint64_t begin, std::span<const std::byte> bytes);
  HostBinding bind(uint32_t buffer, uint64_t offset, uint64_t size) const;
  /// Known from now on, as far as they are in an area that was added.
  void fill(uint32_t buffer, uint64_t offset, std::span<const std::byte> bytes);

private:
  struct Area {
    uint32_t buffer = 0;
    uint64_t begin = 0, end = 0;
    uint32_t *data = nullptr;
    Mark *marks = nullptr;
    WordLog *log = nullptr;
    std::shared_ptr<void> owned[3] = {};
  };
  const bool watched;
  std::vector<Area> areas;
};

} // namespace linnet::vulkan
