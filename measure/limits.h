// What this machine can do at most, the yardstick of every other figure: read bandwidth over a buffer that no
// cache holds, and peak multiply-add per type from kernels that touch registers only. A multiply-add is two
// operations. Medians of repeated short runs: a shared machine changes speed under us.
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
  const char *name;            ///< of the element type: "f32", "bf16", "int8"
  double operations_per_round; ///< of one call by one thread
  float (*kernel)(long rounds);
};
/// Those that this processor can run; none where it has no vector multiply-add that we know.
std::vector<Peak> peaks();
/// Operations a second, on all threads at once.
double peakRate(const Peak &which, int threads, double seconds);

/// Memory to read from, in large pages where the system gives them: with small ones a machine, above all a
/// virtual one, waits for the addresses of pages rather than for memory.
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
/// Bytes a second, all threads reading their own part of `data` at once.
double readBandwidth(std::span<const float> data, int threads, double seconds);

/// What achieved figures are compared with. 0: not known.
struct Limits {
  int threads = 0;
  double read_bytes_per_second = 0, f32_flops_per_second = 0;
  /// The share of the processors' time that other programs took while they were measured: above
  /// kDisturbedShare they are too low.
  double disturbed = 0;
};
/// About a quarter of a second. `threads` 0: what OMP_NUM_THREADS or the machine says.
Limits probeLimits(int threads);
/// Probed for the processor under Linnet's own code, up to three times while other programs disturb that. Of
/// a Vulkan device they are not known, and what the processor can do says nothing of it, not even where a
/// driver uses the processor.
Limits limitsOf(DeviceKind device, int threads);

} // namespace linnet::measure
