// Helpers for devices that fill a profile.
#pragma once
#include "linnet/profile.h"
#include "runtime/artifact/artifact_generated.h"

#include <chrono>
#include <span>
#include <vector>

namespace linnet {

/// The current time in the unit of profiles.
inline int64_t profileNow() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

/// Names and values of a run's dimensions.
LINNET_API std::vector<ProfileDim> profileDims(const fb::Program &program, std::span<const int64_t> symbols);
/// The sizes for costs: `dims`, with capacities replaced by their used extents.
LINNET_API std::vector<int64_t> profileExtents(const Profiler &profiler, std::span<const ProfileDim> dims);

} // namespace linnet
