// Threads that help the one that calls run(). Nobody waits for a helper that has not begun: one that gets a
// processor late, as another program has it or as the system woke it on a busy one, finds its work done. The
// barrier at the end of OpenMP's parallel region would wait for it, a tick of the scheduler and more.
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

namespace linnet::cpu {

class ThreadPool {
public:
  ThreadPool() = default;
  ~ThreadPool();
  ThreadPool(const ThreadPool &) = delete;
  ThreadPool &operator=(const ThreadPool &) = delete;

  /// Calls work(0) in this thread, and work(1) to work(threads - 1) in helpers, each of them at most once:
  /// work(0) must do what no helper does. Returns when all that began are done; what they wrote is seen
  /// afterwards. One run at a time. Helpers are made when they are first wanted, fewer where the system
  /// refuses. `spins`: how often a thread looks before it sleeps, see Progress.
  void run(int threads, int spins, const std::function<void(int)> &work);

private:
  void grow(int threads);
  void help(int number);

  std::vector<std::thread> helpers;
  bool refused = false;
  // Of the current run: written while nobody is inside.
  const std::function<void(int)> *work = nullptr;
  int threads = 0;
  std::atomic<int> spins{0};
  std::atomic<bool> ends{false};
  alignas(64) std::atomic<uint32_t> turn{0};   ///< odd: there is a run, which may be joined
  alignas(64) std::atomic<uint32_t> inside{0}; ///< helpers
};

} // namespace linnet::cpu
