// The limits of this machine, with which other figures are compared: read bandwidth over a buffer larger than
// the caches, and the peak multiply-add rate per type from kernels that only use registers. A multiply-add is
// two operations. Results are medians of repeated short runs, because the speed of a shared machine varies.
#pragma once
#include "linnet/device_kind.h"

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace linnet::measure {

/// A kernel that multiplies and adds in registers.
struct Peak {
  const char *name;            ///< element type: "f32", "bf16", "int8", "int4"
  double operations_per_round; ///< by one thread
  float (*kernel)(long rounds);
};
/// The fastest kernels that this processor can run within the level of LINNET_CPU_ISA; empty on other processors
/// than x86-64.
std::vector<Peak> peaks();
/// Operations per second of all threads together.
double peakRate(const Peak &which, int threads, double seconds);

/// Memory to read from, in large pages if possible. With small pages a machine, especially a virtual one,
/// waits for address translation instead of memory.
class ReadBuffer {
public:
  explicit ReadBuffer(size_t floats);
  std::span<const float> data() const { return {values.get(), count}; }

private:
  struct Free {
    void operator()(float *p) const { std::free(p); }
  };
  size_t count = 0;
  std::unique_ptr<float, Free> values;
};
/// Bytes per second if each thread reads its part of `data`.
double readBandwidth(std::span<const float> data, int threads, double seconds);

/// Limits for achieved figures. 0: unknown.
struct Limits {
  int threads = 0;
  double read_bytes_per_second = 0, f32_flops_per_second = 0;
  /// The share of processor time that other programs took during the measurement. Above kDisturbedShare the
  /// limits are too low.
  double disturbed = 0;
};
/// Measures the limits in about a quarter of a second. `threads` 0: OMP_NUM_THREADS, else one per core.
Limits probeLimits(int threads);
/// The limits of a device. For DeviceKind::Processor they are measured, up to three times if other programs
/// disturb that. For Vulkan devices they are unknown, even if the driver runs on the processor.
Limits limitsOf(DeviceKind device, int threads);

} // namespace linnet::measure
