// How far the team is with one command. Threads claim pieces of it and go on when all pieces are done, not
// when all threads have come by: one that has lost its core delays the others only by the piece that it
// holds, and finds the work done when it is back. Each begins with pieces of its own, one behind the other,
// so that what it reads is one stream, and then takes those that others have not begun. Waiting spins
// briefly, then sleeps, where OpenMP's barrier would spin for milliseconds.
#pragma once
#include "runtime/cpu/spin.h"

#include <atomic>
#include <cstdint>
#include <memory>

namespace linnet::cpu {

/// Where part number `part` of `total` begins, of `parts` that differ by one at most.
inline int64_t partBegin(int64_t total, int64_t parts, int64_t part) { return total * part / parts; }

class Progress {
public:
  /// Before anything else: for teams of up to `threads`.
  void allot(int threads) { begun = std::make_unique<std::atomic<uint32_t>[]>(static_cast<size_t>(threads)); }
  /// Before a team of `threads` starts.
  void reset(int threads) {
    for (int i = 0; i < threads; ++i) begun[static_cast<size_t>(i)].store(0, std::memory_order_relaxed);
    done.store(0, std::memory_order_relaxed);
  }
  /// A piece of `pieces` for a thread of so many, or `pieces`: there is none left.
  uint32_t claim(uint32_t thread, uint32_t threads, uint32_t pieces) {
    for (uint32_t i = 0; i < threads; ++i) {
      uint32_t owner = (thread + i) % threads;
      auto first = static_cast<uint32_t>(partBegin(pieces, threads, owner)); // of the owner's pieces
      auto end = static_cast<uint32_t>(partBegin(pieces, threads, int64_t(owner) + 1));
      if (begun[owner].load(std::memory_order_relaxed) >= end - first) continue;
      uint32_t piece = first + begun[owner].fetch_add(1, std::memory_order_relaxed);
      if (piece < end) return piece;
    }
    return pieces;
  }
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
  std::unique_ptr<std::atomic<uint32_t>[]> begun; ///< of each thread's own pieces
  alignas(64) std::atomic<uint32_t> done{0};
};

} // namespace linnet::cpu
