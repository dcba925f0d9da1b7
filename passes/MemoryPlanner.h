// Offsets for buffers whose lifetimes are known: the planner of memory by itself, without IR.
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
  std::vector<int64_t> offsets; ///< one a buffer, in the order given; multiples of the alignment
  int64_t peak = 0;             ///< largest offset + size, sizes rounded up to the alignment
  int64_t lower_bound = 0; ///< largest sum of sizes (rounded up) alive at one step: no plan has a lower peak
};

/// Buffers alive at a common step get disjoint ranges. Each order tried places buffers one by one into the
/// gap that fits best between those placed before that live at the same time (greedy by size is Pisarchyk and
/// Lee, 2020, arXiv:2001.03288); the plan with the lowest peak is taken, and a buffer on its peak is moved to
/// the front of the order for a few rounds more while the bound is not reached. O(n^2) an order. Nothing when
/// a sum of sizes overflows. Sizes are at least 0, first <= last, the alignment a power of two.
std::optional<MemoryPlan> planMemory(std::span<const Interval> buffers, int64_t alignment = 64);

} // namespace linnet
