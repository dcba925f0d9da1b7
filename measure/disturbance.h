// Other work on the machine while something is timed: how much of the processors' time was wanted here and
// went elsewhere.
#pragma once
#include "support/result.h"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace linnet::measure {

/// From its construction on. Threads that have ended meanwhile are not counted.
class Disturbance {
public:
  Disturbance();
  /// Of the time that this process's threads wanted to run, the share in which other programs ran, or in
  /// which the host of a virtual machine kept its processors: 0 to 1. 0 if that was less than a millisecond,
  /// or if the kernel does not tell (/proc/self/task/*/schedstat, /proc/stat).
  double share() const;

private:
  struct Times {
    double ran = 0, waited = 0;  ///< of this process's threads, seconds
    double busy = 0, stolen = 0; ///< of the machine's processors, seconds
  };
  static Times now();
  Times begin;
};

/// Up to here a figure counts as undisturbed.
constexpr double kDisturbedShare = 0.05;
/// Rates of the same work whose largest is more than this many times the least vary too much to be compared.
constexpr double kLargestSpread = 1.5;

/// Whether figures of runs that lost `share` of their time to others, or whose `rates` vary so, say little.
bool isDisturbed(double share, const std::vector<double> &rates);

struct TimedRun {
  double rate = 0, disturbed = 0; ///< disturbed: Disturbance::share() of it
};
/// Runs that are disturbed are run again, as many as there are tries left.
class Retries {
public:
  explicit Retries(int64_t left) : left(left) {}
  /// The least disturbed of the runs that it took.
  Result<TimedRun> run(const std::function<Result<double>()> &once);

private:
  int64_t left;
};

/// "other programs took 54 % of the processor time that it wanted"
std::string disturbanceText(double share);

} // namespace linnet::measure
