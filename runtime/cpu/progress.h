// How far the team is with one command. Threads claim pieces of it and go on when all pieces are done, not
// when all threads have come by: one that has lost its core delays the others only by the piece that it
// holds, and finds the work done when it is back. Waiting spins briefly, then sleeps, where OpenMP's barrier
// would spin for milliseconds.
#pragma once
#include "runtime/cpu/spin.h"

#include <atomic>
#include <cstdint>

namespace linnet::cpu {

class Progress {
public:
  /// Before the team starts.
  void reset() {
    next.store(0, std::memory_order_relaxed);
    done.store(0, std::memory_order_relaxed);
  }
  /// The next piece of `pieces`, or `pieces` and more: there is none left.
  uint32_t claim() { return next.fetch_add(1, std::memory_order_relaxed); }
  /// A claimed piece of `pieces` is done.
  void finish(uint32_t pieces) {
    if (done.fetch_add(1, std::memory_order_acq_rel) + 1 == pieces)
      done.notify_all(); // a system call only for sleepers
  }
  /// Returns when `pieces` are done. What they wrote is seen afterwards. `spins`: how often to look before
  /// sleeping.
  void wait(uint32_t pieces, int spins) const {
    spinUntil(spins, [&] { return done.load(std::memory_order_acquire) == pieces; });
    for (uint32_t seen; (seen = done.load(std::memory_order_acquire)) != pieces;) done.wait(seen);
  }

  /// For a team of `threads` on so many processors: 50 to 100 microseconds, more than one decode command's
  /// imbalance; or nothing where a spinning thread would keep a processor from the one that it waits for.
  static int spinsFor(int threads, int processors) { return threads > processors ? 0 : 4000; }

private:
  alignas(64) std::atomic<uint32_t> next{0};
  alignas(64) std::atomic<uint32_t> done{0};
};

} // namespace linnet::cpu
