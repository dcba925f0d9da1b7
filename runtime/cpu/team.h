// Chooses the number of threads that work. A thread that loses its processor while it holds a piece of work
// makes all others wait for milliseconds. If another program needs a processor, fewer threads are therefore
// faster.
#pragma once
#include <cstdint>

namespace linnet::cpu {

/// Times are nanoseconds.
class Team {
public:
  explicit Team(int threads) : most(threads), now(threads) {}

  /// The number of threads for the next piece of work, which begins at `time`.
  int size(int64_t time) {
    if (now < most && time >= until) resize(now + 1, time, kHold), enlarged = time;
    return now;
  }

  /// Reports a piece of work. `waited` is the total time in [begin, end) during which its threads were
  /// runnable and had no processor.
  void worked(int64_t waited, int64_t begin, int64_t end) {
    lost += waited, busy += end - begin;
    if (busy < kLeast) return;
    if (now > 1 && lost * kPart > busy)
      resize(now - 1, end, end - enlarged < kHold ? kLongHold : kHold); // the last increase failed
    if (busy >= kWindow) lost = busy = 0;
  }

  /// Total time during which this thread was runnable without a processor; 0 if the system does not report
  /// it.
  static int64_t waited();

private:
  static constexpr int64_t kMillisecond = 1'000'000;
  static constexpr int64_t kLeast = 5 * kMillisecond; ///< least working time before a decision
  static constexpr int64_t kWindow = 20 * kMillisecond;
  static constexpr int64_t kPart = 5;                  ///< losing 1/kPart of the time removes a thread
  static constexpr int64_t kHold = 100 * kMillisecond; ///< time until one more thread is tried
  static constexpr int64_t kLongHold = 200 * kMillisecond;

  void resize(int threads, int64_t time, int64_t quiet) {
    now = threads, until = time + quiet, lost = busy = 0;
  }

  int most, now;
  int64_t until = 0, lost = 0, busy = 0;
  int64_t enlarged = -kHold; ///< time of the last increase
};

} // namespace linnet::cpu
