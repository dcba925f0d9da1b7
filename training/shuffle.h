// Random orders that depend only on a seed and the epoch, so they are the same on every machine.
#pragma once
#include "runtime/philox.h"

#include <cstddef>
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

namespace linnet::training {

/// The purpose of a random number. One seed gives independent streams for different purposes.
enum class Purpose : uint32_t { Split = 1, Order = 2, Buckets = 3, Offset = 4, Dropout = 5 };

/// Number `index` of a stream, in [0, bound), with bound < 2^32. It is the 64-bit integer of the first two
/// words of Philox4x32-10 with key = seed and counter = (index, epoch, purpose, 0), times bound / 2^64.
inline uint64_t drawBelow(uint64_t bound, uint64_t seed, Purpose purpose, uint32_t epoch, uint32_t index) {
  PhiloxCounter words = philox4x32({index, epoch, static_cast<uint32_t>(purpose), 0},
                                   {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)});
  // The product's upper half, from two 32-bit halves: bound is small, so nothing overflows.
  return ((static_cast<uint64_t>(words[0]) * bound) + ((static_cast<uint64_t>(words[1]) * bound) >> 32)) >>
         32;
}

/// Fisher-Yates.
template <class T> void shuffle(std::vector<T> &items, uint64_t seed, Purpose purpose, uint32_t epoch) {
  for (size_t i = items.size(); i > 1; --i)
    std::swap(items[i - 1], items[drawBelow(i, seed, purpose, epoch, static_cast<uint32_t>(i))]);
}

/// 0 .. count - 1 in random order.
inline std::vector<size_t> permutation(size_t count, uint64_t seed, Purpose purpose, uint32_t epoch) {
  std::vector<size_t> order(count);
  std::iota(order.begin(), order.end(), size_t(0));
  shuffle(order, seed, purpose, epoch);
  return order;
}

} // namespace linnet::training
