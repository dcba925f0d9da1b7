// What devices share in filling a profile.
#pragma once
#include "linnet/profile.h"
#include "runtime/artifact/artifact_generated.h"

#include <chrono>
#include <span>
#include <vector>

namespace linnet {

/// Now, as profiles count it.
inline int64_t profileNow() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

/// Names and values of a run's dimensions.
LINNET_API std::vector<ProfileDim> profileDims(const fb::Program &program, std::span<const int64_t> symbols);
/// The values that costs are computed at: capacities as far as they are used.
LINNET_API std::vector<int64_t> profileExtents(const Profiler &profiler, std::span<const ProfileDim> dims);

} // namespace linnet
