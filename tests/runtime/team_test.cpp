#include "runtime/cpu/team.h"
#include "tests/catch.h"

using linnet::cpu::Team;

namespace {

constexpr int64_t kMs = 1'000'000;

struct Worker {
  Team team;
  int64_t now = 0;
  /// The team's size for a piece of work of so many milliseconds.
  int work(int64_t ms, double waited) {
    const int size = team.size(now);
    team.worked(static_cast<int64_t>(waited * kMs), now, now + ms * kMs);
    now += ms * kMs;
    return size;
  }
};

} // namespace

TEST_CASE("a team whose threads wait for processors becomes smaller, and is tried again") {
  Worker three{Team(3)};
  for (int i = 0; i < 100; ++i) CHECK(three.work(2, 0.3) == 3);
  for (int i = 0; i < 3; ++i) CHECK(three.work(2, 1) == 3); // 6 ms: more than a fifth is lost
  for (int i = 0; i < 3; ++i) CHECK(three.work(2, 1) == 2);
  for (int i = 0; i < 9; ++i) CHECK(three.work(2, 1) == 1); // one is always left
  CHECK(three.work(80, 0) == 1);
  three.now += 20 * kMs;
  CHECK(three.work(99, 0) == 2);
  CHECK(three.work(1, 0) == 2);
  CHECK(three.work(1, 0) == 3);
}

TEST_CASE("the longer another program works, the less often a larger team is tried") {
  Worker two{Team(2)};
  auto waitsAgain = [&] { // milliseconds until two threads work; then they lose much
    const int64_t began = two.now;
    while (two.work(1, 0) == 1) {
    }
    const int64_t ms = (two.now - began) / kMs - 1;
    for (int i = 0; i < 4; ++i) CHECK(two.work(1, 2) == 2);
    return ms;
  };
  CHECK(waitsAgain() == 0);
  for (int64_t ms : {100, 200, 200, 200}) CHECK(waitsAgain() == ms);
  while (two.work(1, 0) == 1) {
  }
  for (int i = 0; i < 200; ++i) CHECK(two.work(1, 0) == 2); // all is well: as at the beginning
  for (int i = 0; i < 4; ++i) CHECK(two.work(1, 2) == 2);
  CHECK(waitsAgain() == 100);
}

TEST_CASE("what was lost long ago does not count") {
  Worker two{Team(2)};
  CHECK(two.work(4, 3) == 2); // too short to judge by
  CHECK(two.work(50, 7) == 2);
  for (int i = 0; i < 10; ++i) CHECK(two.work(50, 9) == 2);
  CHECK(two.work(50, 11) == 2);
  CHECK(two.work(1, 0) == 1);
}

TEST_CASE("one thread is a team") {
  Worker one{Team(1)};
  for (int i = 0; i < 10; ++i) CHECK(one.work(100, 99) == 1);
}

TEST_CASE("a thread knows how long it waited for a processor") {
  const int64_t before = Team::waited();
  CHECK(before >= 0);
  CHECK(Team::waited() >= before);
}
