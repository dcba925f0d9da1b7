// Memory of a simulated device, with what of it is known.
#pragma once
#include "backends/vulkan/simulator/watch.h"
#include "runtime/vulkan/trial/mark.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <vector>

namespace linnet::vulkan {

/// Words [begin, end) behind a binding's first. Without marks all are known, and only read.
struct Segment {
  uint64_t begin = 0, end = 0;
  uint32_t *data = nullptr;
  Mark *marks = nullptr;
  WordLog *log = nullptr; ///< null: nobody watches
};

/// What is bound at one binding.
struct SimulatedBinding {
  std::vector<Segment> segments;
  uint32_t texel_words = 0; ///< of a texel buffer
  const Segment *find(uint64_t word) const {
    for (const Segment &s : segments)
      if (word >= s.begin && word < s.end) return &s;
    return nullptr;
  }
};

/// Parts of a device's buffers. Costs memory only where something is written.
class SimulatedMemory {
public:
  /// `watched`: it is noted who touches a word.
  explicit SimulatedMemory(bool watched = false) : watched(watched) {}
  /// Bytes [begin, end) of a buffer, of which nothing is known; false: there is no memory. Multiples of 4.
  /// Not to overlap with others.
  bool add(uint32_t buffer, uint64_t begin, uint64_t end);
  /// Bytes from `begin` on that are only read.
  void show(uint32_t buffer, uint64_t begin, std::span<const std::byte> bytes);
  SimulatedBinding bind(uint32_t buffer, uint64_t offset, uint64_t size) const;
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
