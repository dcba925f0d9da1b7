// Memory of a simulated device. Marks record which words are known.
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

/// Words [begin, end) after a binding's first word. Without marks all words are known, and the segment is read-only.
struct Segment {
  uint64_t begin = 0, end = 0;
  uint32_t *data = nullptr;
  Mark *marks = nullptr;
  WordLog *log = nullptr; ///< null without a Watch
};

/// The memory that is bound at one binding.
struct SimulatedBinding {
  std::vector<Segment> segments;
  uint32_t texel_words = 0; ///< words of a texel; 0 for storage buffers
  const Segment *find(uint64_t word) const {
    for (const Segment &s : segments)
      if (word >= s.begin && word < s.end) return &s;
    return nullptr;
  }
};

/// Parts of a device's buffers. A part takes memory for the pages that are written.
class SimulatedMemory {
public:
  /// `watched`: records accesses to each word for a Watch.
  explicit SimulatedMemory(bool watched = false) : watched(watched) {}
  /// Adds bytes [begin, end) of a buffer; their contents are unknown. Both are multiples of 4. Areas must not overlap.
  /// Returns false if memory is exhausted.
  bool add(uint32_t buffer, uint64_t begin, uint64_t end);
  /// Adds bytes from `begin` on that are read-only.
  void show(uint32_t buffer, uint64_t begin, std::span<const std::byte> bytes);
  SimulatedBinding bind(uint32_t buffer, uint64_t offset, uint64_t size) const;
  /// Writes bytes, which are known then. Bytes outside of areas from add() are ignored.
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
