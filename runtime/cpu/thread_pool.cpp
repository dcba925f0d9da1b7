#include "runtime/cpu/thread_pool.h"
#include "runtime/cpu/spin.h"

#include <system_error>

namespace linnet::cpu {

ThreadPool::~ThreadPool() {
  ends = true;
  turn += 2;
  turn.notify_all();
  for (std::thread &helper : helpers) helper.join();
}

// A helper joins a run by incrementing `inside` and then checking that the run is open. The caller ends the
// run by closing it and then waiting until `inside` is 0. The operations are sequentially consistent, so one
// of the two sees the other.
void ThreadPool::run(int wanted, int looks, const std::function<void(int)> &body) {
  grow(wanted);
  work = &body, threads = wanted;
  spins.store(looks, std::memory_order_relaxed);
  ++turn;
  turn.notify_all(); // makes a system call only if a thread sleeps
  body(0);
  ++turn;
  spinUntil(looks, [&] { return inside.load() == 0; });
  for (uint32_t n; (n = inside.load()) != 0;) inside.wait(n);
}

void ThreadPool::grow(int wanted) {
  while (!refused && int(helpers.size()) + 1 < wanted) {
    try {
      helpers.emplace_back([this, number = int(helpers.size()) + 1] { help(number); });
    } catch (const std::system_error &) {
      refused = true; // the existing helpers do the work
    }
  }
}

void ThreadPool::help(int number) {
  uint32_t seen = 0; // the last turn that was joined or was closed
  while (true) {
    spinUntil(spins.load(std::memory_order_relaxed), [&] { return turn.load() != seen; });
    turn.wait(seen);
    if (ends.load()) return;
    seen = turn.load();
    if (seen % 2 == 0) continue;
    ++inside;
    if (turn.load() == seen && number < threads) (*work)(number);
    if (--inside == 0) inside.notify_one();
  }
}

} // namespace linnet::cpu
