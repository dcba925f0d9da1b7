// Threads that help the thread that calls run(). No thread waits for a helper that has not begun. A helper
// that gets a processor too late finds the work done. OpenMP's barrier at the end of a parallel region would
// wait for it, at least one scheduler tick.
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

  /// Calls work(0) in this thread, and work(1) to work(threads - 1) in helpers, each at most once. work(0)
  /// must do all work that no helper takes. Returns when all calls that began are done; their writes are
  /// visible afterwards. One run at a time. Helpers are created when first needed, fewer if the system
  /// refuses. `spins`: see Progress.
  void run(int threads, int spins, const std::function<void(int)> &work);

private:
  void grow(int threads);
  void help(int number);

  std::vector<std::thread> helpers;
  bool refused = false;
  // The current run. Written only while `inside` is 0.
  const std::function<void(int)> *work = nullptr;
  int threads = 0;
  std::atomic<int> spins{0};
  std::atomic<bool> ends{false};
  alignas(64) std::atomic<uint32_t> turn{0};   ///< odd while a run accepts helpers
  alignas(64) std::atomic<uint32_t> inside{0}; ///< helpers in the current run
};

} // namespace linnet::cpu
