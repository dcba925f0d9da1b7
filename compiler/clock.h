// Time for reports.
#pragma once
#include <chrono>

namespace linnet {

/// Seconds of a monotonic clock.
inline double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

} // namespace linnet
