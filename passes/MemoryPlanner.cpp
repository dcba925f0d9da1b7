#include "passes/MemoryPlanner.h"

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>

namespace linnet {
namespace {

bool overlap(const Interval &a, const Interval &b) { return a.first <= b.last && b.first <= a.last; }

/// Copies of the buffers with rounded-up sizes; nothing if the sum of all sizes overflows.
std::optional<std::vector<Interval>> rounded(std::span<const Interval> buffers, int64_t alignment) {
  std::vector<Interval> result(buffers.begin(), buffers.end());
  int64_t sum = 0;
  for (Interval &buffer : result) {
    if (buffer.size > std::numeric_limits<int64_t>::max() - alignment) return std::nullopt;
    buffer.size = (buffer.size + alignment - 1) / alignment * alignment;
    if (__builtin_add_overflow(sum, buffer.size, &sum)) return std::nullopt;
  }
  return result;
}

int64_t largestLiveSet(const std::vector<Interval> &buffers) {
  std::map<int, int64_t> change; // step -> bytes of buffers that start there minus those that ended before it
  for (const Interval &buffer : buffers) {
    change[buffer.first] += buffer.size;
    change[buffer.last + 1] -= buffer.size;
  }
  int64_t live = 0, largest = 0;
  for (auto [step, bytes] : change) largest = std::max(largest, live += bytes);
  return largest;
}

using Order = std::vector<int>;

/// The offset of the buffer in the best gap between the `placed` ones with overlapping lifetimes, which are
/// sorted by offset.
int64_t bestGap(const std::vector<std::pair<int64_t, int64_t>> &taken, int64_t size) {
  int64_t end = 0, best = -1, best_gap = std::numeric_limits<int64_t>::max();
  for (auto [offset, bytes] : taken) {
    int64_t gap = offset - end;
    if (gap >= size && gap < best_gap) {
      best = end;
      best_gap = gap;
    }
    end = std::max(end, offset + bytes);
  }
  return best >= 0 ? best : end;
}

MemoryPlan place(const std::vector<Interval> &buffers, const Order &order) {
  MemoryPlan plan;
  plan.offsets.assign(buffers.size(), 0);
  Order placed;
  std::vector<std::pair<int64_t, int64_t>> taken;
  for (int i : order) {
    taken.clear();
    for (int j : placed)
      if (overlap(buffers[i], buffers[j]) && buffers[j].size)
        taken.emplace_back(plan.offsets[j], buffers[j].size);
    std::sort(taken.begin(), taken.end());
    plan.offsets[i] = buffers[i].size ? bestGap(taken, buffers[i].size) : 0;
    plan.peak = std::max(plan.peak, plan.offsets[i] + buffers[i].size);
    placed.push_back(i);
  }
  return plan;
}

/// The orders to try: largest first, largest area (size x time) first, longest-lived first, by time.
std::vector<Order> orders(const std::vector<Interval> &buffers) {
  auto length = [&](int i) { return static_cast<double>(buffers[i].last) - buffers[i].first + 1; };
  auto by = [&](auto less) {
    Order order(buffers.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), less);
    return order;
  };
  return {
      by([&](int a, int b) {
        return std::pair(buffers[a].size, length(a)) > std::pair(buffers[b].size, length(b));
      }),
      by([&](int a, int b) {
        return static_cast<double>(buffers[a].size) * length(a) >
               static_cast<double>(buffers[b].size) * length(b);
      }),
      by([&](int a, int b) {
        return std::pair(length(a), static_cast<double>(buffers[a].size)) >
               std::pair(length(b), static_cast<double>(buffers[b].size));
      }),
      by([&](int a, int b) {
        return std::tuple(buffers[a].first, -buffers[a].size) <
               std::tuple(buffers[b].first, -buffers[b].size);
      }),
  };
}

constexpr int kRounds = 32;

/// Moves a buffer at the peak to the front of the order and plans again, while that helps and rounds are
/// left.
MemoryPlan improve(const std::vector<Interval> &buffers, Order order, MemoryPlan plan, int64_t bound) {
  MemoryPlan best = plan;
  for (int round = 0; round < kRounds && best.peak > bound; ++round) {
    auto top = std::find_if(order.begin(), order.end(),
                            [&](int i) { return plan.offsets[i] + buffers[i].size == plan.peak; });
    if (top == order.end() || top == order.begin()) break;
    std::rotate(order.begin(), top, top + 1);
    plan = place(buffers, order);
    if (plan.peak < best.peak) best = plan;
  }
  return best;
}

} // namespace

std::optional<MemoryPlan> planMemory(std::span<const Interval> given, int64_t alignment) {
  auto buffers = rounded(given, alignment);
  if (!buffers) return std::nullopt;
  int64_t bound = largestLiveSet(*buffers);
  MemoryPlan best;
  best.peak = std::numeric_limits<int64_t>::max();
  for (const Order &order : orders(*buffers)) {
    MemoryPlan plan = place(*buffers, order);
    plan = improve(*buffers, order, plan, bound);
    if (plan.peak < best.peak) best = plan;
    if (best.peak == bound) break;
  }
  best.lower_bound = bound;
  return best;
}

} // namespace linnet
