// The progress of a team of threads in one command. Threads claim pieces and continue when all pieces are
// done, even if some thread did not take part. A thread that lost its core delays the others only by the
// piece that it holds. Each thread takes its own consecutive pieces first, so that it reads one stream, and
// then steals pieces of others. A waiting thread spins briefly and then sleeps; OpenMP's barrier would spin
// for milliseconds.
#pragma once
#include "runtime/cpu/spin.h"

#include <atomic>
#include <cstdint>
#include <memory>

namespace linnet::cpu {

/// The begin of part `part` if `total` items are divided into `parts` parts whose sizes differ by at most
/// one.
inline int64_t partBegin(int64_t total, int64_t parts, int64_t part) { return total * part / parts; }

class Progress {
public:
  /// Allocates memory for teams of up to `threads`. Must be called first.
  void allot(int threads) { begun = std::make_unique<std::atomic<uint32_t>[]>(static_cast<size_t>(threads)); }
  /// Must be called before a team of `threads` starts.
  void reset(int threads) {
    for (int i = 0; i < threads; ++i) begun[static_cast<size_t>(i)].store(0, std::memory_order_relaxed);
    done.store(0, std::memory_order_relaxed);
  }
  /// Claims one of `pieces` for `thread` of `threads`. Returns `pieces` if none is left.
  uint32_t claim(uint32_t thread, uint32_t threads, uint32_t pieces) {
    for (uint32_t i = 0; i < threads; ++i) {
      uint32_t owner = (thread + i) % threads;
      auto first = static_cast<uint32_t>(partBegin(pieces, threads, owner)); // first piece of the owner
      auto end = static_cast<uint32_t>(partBegin(pieces, threads, int64_t(owner) + 1));
      if (begun[owner].load(std::memory_order_relaxed) >= end - first) continue;
      uint32_t piece = first + begun[owner].fetch_add(1, std::memory_order_relaxed);
      if (piece < end) return piece;
    }
    return pieces;
  }
  /// Marks a claimed piece as done.
  void finish(uint32_t pieces) {
    if (done.fetch_add(1, std::memory_order_acq_rel) + 1 == pieces)
      done.notify_all(); // makes a system call only if a thread sleeps
  }
  /// Waits until all `pieces` are done; their writes are visible afterwards. Polls `spins` times before it
  /// sleeps.
  void wait(uint32_t pieces, int spins) const {
    spinUntil(spins, [&] { return done.load(std::memory_order_acquire) == pieces; });
    for (uint32_t seen; (seen = done.load(std::memory_order_acquire)) != pieces;) done.wait(seen);
  }

  /// Number of polls for a team of `threads`: 50 to 100 microseconds, more than the imbalance of a decode
  /// command. 0 if there are fewer processors than threads: a spinning thread would block the one that it
  /// waits for.
  static int spinsFor(int threads, int processors) { return threads > processors ? 0 : 4000; }

private:
  std::unique_ptr<std::atomic<uint32_t>[]> begun; ///< number of claimed pieces of each thread's range
  alignas(64) std::atomic<uint32_t> done{0};
};

} // namespace linnet::cpu
