// The number of tokens that a device decodes before the host reads them.
#pragma once
#include <algorithm>
#include <cstdint>

namespace linnet {

/// Grows from one until a chunk takes about 50 ms. Text still streams smoothly. Cancellation, end tokens and
/// stop texts are detected between chunks, so they waste at most that time.
class DecodePace {
public:
  static constexpr double kSeconds = 0.05;

  int64_t steps() const { return next; }
  /// Adjusts steps() after `done` steps took `seconds`.
  void note(int64_t done, double seconds) {
    double fit = static_cast<double>(done) * kSeconds / std::max(seconds, 1e-9);
    next = std::clamp(static_cast<int64_t>(std::min(fit, 1e6)), int64_t(1), 2 * done);
  }

private:
  int64_t next = 1;
};

} // namespace linnet
