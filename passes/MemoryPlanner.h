// Assigns offsets to buffers with known lifetimes. The planner does not depend on the IR.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace linnet {

/// A buffer of `size` bytes alive from step `first` to step `last`, both included.
struct Interval {
  int first, last;
  int64_t size;
};

struct MemoryPlan {
  std::vector<int64_t> offsets; ///< one per buffer, in the order of the input; multiples of the alignment
  int64_t peak = 0;             ///< largest offset + size, sizes rounded up to the alignment
  int64_t lower_bound = 0; ///< largest sum of sizes (rounded up) alive at one step: no plan has a lower peak
};

/// Buffers that are alive at a common step get disjoint ranges. For each of several orders, the planner
/// assigns buffers one by one to the best-fitting gap between earlier ones with overlapping lifetimes (greedy
/// by size: Pisarchyk and Lee, 2020, arXiv:2001.03288). It keeps the plan with the lowest peak. If that
/// exceeds the lower bound, it moves a buffer at the peak to the front of the order and tries again, a few
/// times. O(n^2) per order. Returns nothing if a sum of sizes overflows. Sizes are at least 0, first <= last,
/// alignment a power of two.
std::optional<MemoryPlan> planMemory(std::span<const Interval> buffers, int64_t alignment = 64);

} // namespace linnet
