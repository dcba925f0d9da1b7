#include "runtime/cpu/thread_pool.h"
#include "tests/catch.h"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <string>

using linnet::cpu::ThreadPool;

namespace {

constexpr int kSpins = 1000;

/// Waits until `done()`, at most ten seconds.
template <class Done> bool comes(Done &&done) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!done())
    if (std::chrono::steady_clock::now() > end) return false;
  return true;
}

/// Their numbers.
std::set<std::string> threadsOfProcess() {
  std::set<std::string> numbers;
  for (const auto &entry : std::filesystem::directory_iterator("/proc/self/task"))
    numbers.insert(entry.path().filename());
  return numbers;
}

/// As in proc(5): R runs, S sleeps.
char stateOf(const std::string &thread) {
  std::ifstream file("/proc/self/task/" + thread + "/stat");
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  const size_t name_end = text.rfind(')');
  return name_end == text.npos || name_end + 2 >= text.size() ? '?' : text[name_end + 2];
}

} // namespace

TEST_CASE("a pool's threads work together, each with its number") {
  ThreadPool pool;
  for (int threads : {1, 2, 5, 3}) {
    std::atomic<int> begun{0};
    std::atomic<bool> good{true};
    std::vector<std::atomic<int>> calls(8);
    pool.run(threads, kSpins, [&](int number) {
      ++calls[size_t(number)];
      ++begun;
      if (!comes([&] { return begun == threads; })) good = false;
    });
    CHECK(good);
    for (int i = 0; i < 8; ++i) CHECK(calls[size_t(i)] == (i < threads));
  }
}

TEST_CASE("nobody waits for a helper that has not begun, and it finds nothing to do") {
  for (int spins : {0, kSpins}) {
    ThreadPool pool;
    // The data of a run's threads is destroyed at the end of the run.
    for (int run = 0; run < 20000; ++run) {
      auto alive = std::make_unique<std::atomic<int>>(run);
      std::atomic<int> *now = alive.get();
      std::atomic<int> wrong{0};
      pool.run(3, spins, [&wrong, now, run](int) { wrong += *now != run; });
      *alive = -1;
      REQUIRE(wrong == 0);
    }
  }
}

TEST_CASE("helpers that began are waited for, and what they wrote is seen") {
  ThreadPool pool;
  int joined = 0;
  for (int run = 0; run < 200; ++run) {
    std::atomic<bool> begun{false};
    int written = 0;
    pool.run(2, run % 2 ? kSpins : 0, [&](int number) {
      if (number == 0) return void(comes([&] { return begun.load(); }));
      begun = true;
      if (run % 8 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
      written = run + 1;
    });
    joined += written == run + 1;
  }
  CHECK(joined == 200);
}

TEST_CASE("a pool ends with its threads: one that never ran, and one whose helpers sleep") {
  const std::set<std::string> before = threadsOfProcess();
  {
    ThreadPool never;
    CHECK(threadsOfProcess() == before);
  }
  CHECK(threadsOfProcess() == before);
  auto pool = std::make_unique<ThreadPool>();
  pool->run(4, 0, [](int) {});
  CHECK(threadsOfProcess().size() == before.size() + 3);
  CHECK(comes([&] { // all helpers sleep
    for (const std::string &thread : threadsOfProcess())
      if (!before.count(thread) && stateOf(thread) != 'S') return false;
    return true;
  }));
  std::atomic<bool> ended{false};
  std::thread ender([&] {
    pool.reset();
    ended = true;
  });
  CHECK(comes([&] { return ended.load(); }));
  if (ended)
    ender.join();
  else
    ender.detach();
  CHECK(comes([&] { return threadsOfProcess() == before; })); // a joined thread is listed for a moment
}
