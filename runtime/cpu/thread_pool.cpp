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

// A run is joined by counting oneself in and looking whether it is still open, and ended by closing it and
// looking who is in: in one order for all threads, so that one of the two sees the other.
void ThreadPool::run(int wanted, int looks, const std::function<void(int)> &body) {
  grow(wanted);
  work = &body, threads = wanted;
  spins.store(looks, std::memory_order_relaxed);
  ++turn;
  turn.notify_all(); // a system call only for sleepers
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
      refused = true; // those that there are do the work
    }
  }
}

void ThreadPool::help(int number) {
  uint32_t seen = 0; // the turn that was joined last, or was none to join
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
