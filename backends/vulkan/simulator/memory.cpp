#include "backends/vulkan/simulator/memory.h"

#include <algorithm>
#include <cstring>
#include <sys/mman.h>

namespace linnet::vulkan {
namespace {

// Returns zeros. Pages take memory when they are first written.
std::shared_ptr<void> reserve(uint64_t bytes) {
  if (bytes == 0) return {};
  void *made =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (made == MAP_FAILED) return {};
  return {made, [bytes](void *p) { munmap(p, bytes); }};
}

} // namespace

bool SimulatedMemory::add(uint32_t buffer, uint64_t begin, uint64_t end) {
  const uint64_t words = (end - begin) / 4;
  auto data = reserve(words * 4), marks = reserve(words * sizeof(Mark));
  auto log = reserve(watched ? words * sizeof(WordLog) : 0);
  if (!data || !marks || (watched && !log)) return words == 0;
  areas.push_back({buffer,
                   begin,
                   begin + words * 4,
                   static_cast<uint32_t *>(data.get()),
                   static_cast<Mark *>(marks.get()),
                   static_cast<WordLog *>(log.get()),
                   {data, marks, log}});
  return true;
}

void SimulatedMemory::show(uint32_t buffer, uint64_t begin, std::span<const std::byte> bytes) {
  auto *data = reinterpret_cast<const uint32_t *>(bytes.data());
  const size_t whole = bytes.size() / 4 * 4;
  areas.push_back({buffer, begin, begin + whole, const_cast<uint32_t *>(data)});
  if (whole == bytes.size() || !add(buffer, begin + whole, begin + whole + 4)) return;
  fill(buffer, begin + whole, bytes.subspan(whole));
}

SimulatedBinding SimulatedMemory::bind(uint32_t buffer, uint64_t offset, uint64_t size) const {
  SimulatedBinding binding;
  for (const Area &area : areas) {
    const uint64_t begin = std::max(area.begin, offset), end = std::min(area.end, offset + size);
    if (area.buffer != buffer || begin >= end) continue;
    const uint64_t inside = (begin - area.begin) / 4;
    binding.segments.push_back({(begin - offset) / 4, (end - offset) / 4, area.data + inside,
                                area.marks ? area.marks + inside : nullptr,
                                area.log ? area.log + inside : nullptr});
  }
  return binding;
}

// The unused bytes of the last word count as known, too: kernels do not use them.
void SimulatedMemory::fill(uint32_t buffer, uint64_t offset, std::span<const std::byte> bytes) {
  for (const Segment &s : bind(buffer, offset, (bytes.size() + 3) / 4 * 4).segments) {
    if (!s.marks) continue;
    const std::span<const std::byte> from = bytes.subspan(s.begin * 4);
    std::memcpy(s.data, from.data(), std::min<uint64_t>((s.end - s.begin) * 4, from.size()));
    std::memset(s.marks, kFilled, s.end - s.begin);
  }
}

} // namespace linnet::vulkan
