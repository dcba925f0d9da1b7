// Measures the processor time that other programs took from this process during a measurement.
#pragma once
#include "support/result.h"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace linnet::measure {

/// Measures from its construction on. Threads that have ended are not counted.
class Disturbance {
public:
  Disturbance();
  /// The share (0 to 1) of the time in which this process's threads were runnable but other programs, or the
  /// host of a virtual machine, had the processors. 0 if that was less than a millisecond, or if the kernel
  /// does not report it (/proc/self/task/*/schedstat, /proc/stat).
  double share() const;

private:
  struct Times {
    double ran = 0, waited = 0;  ///< of this process's threads, seconds
    double busy = 0, stolen = 0; ///< of the machine's processors, seconds
  };
  static Times now();
  Times begin;
};

/// A figure with a larger share counts as disturbed.
constexpr double kDisturbedShare = 0.05;
/// Rates of the same work cannot be compared if the largest is more than this many times the least.
constexpr double kLargestSpread = 1.5;

/// Whether the runs lost more than kDisturbedShare or their `rates` vary by more than kLargestSpread.
bool isDisturbed(double share, const std::vector<double> &rates);

struct TimedRun {
  double rate = 0, disturbed = 0; ///< disturbed: its Disturbance::share()
};
/// Repeats disturbed runs, at most `left` times in all.
class Retries {
public:
  explicit Retries(int64_t left) : left(left) {}
  /// The least disturbed of the runs.
  Result<TimedRun> run(const std::function<Result<double>()> &once);

private:
  int64_t left;
};

/// "other programs took 54 % of the processor time that it wanted"
std::string disturbanceText(double share);

} // namespace linnet::measure
