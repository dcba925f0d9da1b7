// A barrier for the threads of one parallel region. It spins briefly, then sleeps: a thread whose partner has
// lost its core gives up its own instead of burning it (OpenMP's own barrier spins for milliseconds).
#pragma once
#include <atomic>
#include <cstdint>

namespace linnet::cpu {

class Barrier {
public:
  /// Returns when `team` threads have called it. What each wrote before is seen by all after.
  void wait(int team) {
    if (team == 1) return;
    uint32_t generation = current.load(std::memory_order_relaxed);
    if (arrived.fetch_add(1, std::memory_order_acq_rel) + 1 == team) {
      arrived.store(0, std::memory_order_relaxed);
      current.store(generation + 1, std::memory_order_release);
      current.notify_all(); // no system call where nobody sleeps
      return;
    }
    for (int i = 0; i < kSpins; ++i) {
      if (current.load(std::memory_order_acquire) != generation) return;
      pause();
    }
    while (current.load(std::memory_order_acquire) == generation) current.wait(generation);
  }

private:
  static constexpr int kSpins =
      4000; // about 50 to 100 microseconds, more than one decode command's imbalance
  static void pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }
  alignas(64) std::atomic<int> arrived{0};
  alignas(64) std::atomic<uint32_t> current{0};
};

} // namespace linnet::cpu
