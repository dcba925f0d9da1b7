// Properties of the planner of memory on drawn sets of buffers, and small cases worked out by hand.
#include "passes/MemoryPlanner.h"
#include "tests/catch.h"

#include <algorithm>
#include <limits>
#include <random>

using namespace linnet;

namespace {

int64_t roundUp(int64_t size, int64_t alignment) { return (size + alignment - 1) / alignment * alignment; }

/// The largest sum alive at one step, step by step: the definition, not the planner's way.
int64_t liveBytes(const std::vector<Interval> &buffers, int64_t alignment) {
  int64_t largest = 0;
  for (const Interval &at : buffers) {
    int64_t live = 0;
    for (const Interval &b : buffers)
      if (b.first <= at.first && at.first <= b.last) live += roundUp(b.size, alignment);
    largest = std::max(largest, live);
  }
  return largest;
}

/// Checks what every plan must hold and returns peak / lower bound.
double checkPlan(const std::vector<Interval> &buffers, int64_t alignment) {
  auto plan = planMemory(buffers, alignment);
  REQUIRE(plan);
  REQUIRE(plan->offsets.size() == buffers.size());
  int64_t extent = 0;
  for (size_t i = 0; i < buffers.size(); ++i) {
    REQUIRE(plan->offsets[i] >= 0);
    REQUIRE(plan->offsets[i] % alignment == 0);
    extent = std::max(extent, plan->offsets[i] + roundUp(buffers[i].size, alignment));
    for (size_t j = 0; j < i; ++j) {
      bool alive = buffers[i].first <= buffers[j].last && buffers[j].first <= buffers[i].last;
      bool apart = plan->offsets[i] + buffers[i].size <= plan->offsets[j] ||
                   plan->offsets[j] + buffers[j].size <= plan->offsets[i];
      if (alive && buffers[i].size && buffers[j].size) REQUIRE(apart);
    }
  }
  REQUIRE(plan->peak == extent);
  REQUIRE(plan->lower_bound == liveBytes(buffers, alignment));
  REQUIRE(plan->peak >= plan->lower_bound);
  return plan->lower_bound ? static_cast<double>(plan->peak) / plan->lower_bound : 1.0;
}

std::vector<Interval> drawBuffers(std::mt19937_64 &random, int count, int steps, int64_t largest) {
  std::vector<Interval> buffers;
  for (int i = 0; i < count; ++i) {
    int first = random() % steps, length = random() % std::max(1, steps / 4);
    buffers.push_back(
        {first, std::min(steps, first + length), static_cast<int64_t>(random() % (largest + 1))});
  }
  return buffers;
}

} // namespace

TEST_CASE("buffers that never meet share memory") {
  std::vector<Interval> buffers = {{0, 1, 128}, {2, 3, 128}, {4, 5, 64}};
  auto plan = planMemory(buffers);
  REQUIRE(plan);
  CHECK(plan->peak == 128);
  CHECK(plan->offsets == std::vector<int64_t>{0, 0, 0});
}

TEST_CASE("a chain of results takes turns in two places") {
  std::vector<Interval> buffers;
  for (int i = 0; i < 20; ++i) buffers.push_back({i, i + 1, 1000});
  auto plan = planMemory(buffers);
  REQUIRE(plan);
  CHECK(plan->lower_bound == 2048);
  CHECK(plan->peak == 2048);
}

TEST_CASE("sharing a step is living together, even if one ends where the other begins") {
  std::vector<Interval> buffers = {{0, 3, 64}, {3, 5, 64}};
  auto plan = planMemory(buffers);
  REQUIRE(plan);
  CHECK(plan->peak == 128);
}

TEST_CASE("nothing to place") {
  auto plan = planMemory({});
  REQUIRE(plan);
  CHECK(plan->peak == 0);
  CHECK(plan->lower_bound == 0);
  std::vector<Interval> empty = {{0, 9, 0}, {0, 9, 0}};
  REQUIRE(planMemory(empty));
  CHECK(planMemory(empty)->peak == 0);
}

TEST_CASE("sizes that overflow are refused") {
  int64_t huge = std::numeric_limits<int64_t>::max();
  std::vector<Interval> one = {{0, 1, huge}}, two = {{0, 1, huge / 2}, {0, 1, huge / 2}, {0, 1, 64}};
  CHECK_FALSE(planMemory(one));
  CHECK_FALSE(planMemory(two));
}

TEST_CASE("a plan holds its promises on drawn sets of buffers") {
  std::mt19937_64 random(20240229);
  double worst = 1, sum = 0;
  int sets = 0;
  for (int round = 0; round < 300; ++round) {
    int count = 1 + random() % 60, steps = 1 + random() % 80;
    int64_t alignment = int64_t(1) << (random() % 9);
    double ratio = checkPlan(drawBuffers(random, count, steps, round % 3 ? 4096 : 1 << 30), alignment);
    worst = std::max(worst, ratio);
    sum += ratio;
    ++sets;
  }
  INFO("peak / lower bound: worst " << worst << ", mean " << sum / sets);
  // Measured 1.057 and 1.0021; placing largest first alone gives 1.33 and 1.028.
  CHECK(worst < 1.10);
  CHECK(sum / sets < 1.005);
}

TEST_CASE("a plan of a decoder's activations reaches the lower bound") {
  // 12 blocks of (layer norm, qkv, attention, residual, layer norm, hidden, residual), in units of 64 bytes.
  std::vector<Interval> buffers;
  int at = 0, stream = 0;
  auto add = [&](int length, int64_t size) {
    buffers.push_back({at, at + length, size * 64});
    return ++at;
  };
  for (int block = 0; block < 12; ++block) {
    stream = add(4, 12);
    add(1, 12), add(1, 36), add(1, 12);
    stream = add(3, 12);
    add(1, 12), add(1, 48);
  }
  CHECK(stream > 0);
  CHECK(checkPlan(buffers, 64) == 1.0);
}
