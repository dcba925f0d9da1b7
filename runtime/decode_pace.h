// How many tokens are decoded before the host looks at them again.
#pragma once
#include <algorithm>
#include <cstdint>

namespace linnet {

/// Grows from one until a chunk takes about 50 ms: streamed text still flows, and cancelling, the end of the
/// text and stop texts, which are seen between chunks, waste no more than that.
class DecodePace {
public:
  static constexpr double kSeconds = 0.05;

  int64_t steps() const { return next; }
  /// `done` steps took `seconds`.
  void note(int64_t done, double seconds) {
    double fit = static_cast<double>(done) * kSeconds / std::max(seconds, 1e-9);
    next = std::clamp(static_cast<int64_t>(std::min(fit, 1e6)), int64_t(1), 2 * done);
  }

private:
  int64_t next = 1;
};

} // namespace linnet
