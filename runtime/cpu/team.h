// How many threads work together. One that loses its processor while it holds a piece of work keeps all
// others waiting for milliseconds, until the scheduler gives it back. Where another program wants a processor
// too, fewer threads are faster: the one that stays out leaves a whole processor to the others.
#pragma once
#include <cstdint>

namespace linnet::cpu {

/// Times are nanoseconds.
class Team {
public:
  explicit Team(int threads) : most(threads), now(threads) {}

  /// Of the next piece of work, which begins at `time`.
  int size(int64_t time) {
    if (now < most && time >= until) resize(now + 1, time, kHold), enlarged = time;
    return now;
  }

  /// `waited`: how long its threads, together, were ready to run in [begin, end) and had no processor.
  void worked(int64_t waited, int64_t begin, int64_t end) {
    lost += waited, busy += end - begin;
    if (busy < kLeast) return;
    if (now > 1 && lost * kPart > busy)
      resize(now - 1, end, end - enlarged < kHold ? kLongHold : kHold); // tried in vain: less often
    if (busy >= kWindow) lost = busy = 0;
  }

  /// How long this thread has been ready to run without a processor so far; 0 where the system does not say.
  static int64_t waited();

private:
  static constexpr int64_t kMillisecond = 1'000'000;
  static constexpr int64_t kLeast = 5 * kMillisecond; ///< of work to judge by
  static constexpr int64_t kWindow = 20 * kMillisecond;
  static constexpr int64_t kPart = 5;                  ///< a fifth of the time lost is too much
  static constexpr int64_t kHold = 100 * kMillisecond; ///< then one thread more is tried again
  static constexpr int64_t kLongHold = 200 * kMillisecond;

  void resize(int threads, int64_t time, int64_t quiet) {
    now = threads, until = time + quiet, lost = busy = 0;
  }

  int most, now;
  int64_t until = 0, lost = 0, busy = 0;
  int64_t enlarged = -kHold; ///< when
};

} // namespace linnet::cpu
