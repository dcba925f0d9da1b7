// What a Vulkan device can do at most, as the runtime drives it: read bandwidth over a buffer in its own
// memory, and multiply-adds by type. Wall time of submissions that are long beside what submitting costs;
// medians.
#pragma once
#include "bench/limits/vulkan_program.h"
#include "runtime/device.h"

#include <map>
#include <string_view>

namespace bench {

class VulkanProbe {
public:
  /// `argument`: as in --device vulkan:ARGUMENT. `mib`: of the buffer.
  static linnet::Result<VulkanProbe> open(std::string_view argument, long mib);

  /// Within about `seconds`, but reads everything once at least.
  linnet::Result<double> readBandwidth(double seconds);
  struct Peak {
    double operations = 0;
    std::string kernel; ///< that reached it
  };
  /// "f32": multiply-adds. "f16": products of matrices with sums in f32, where the device has those that
  /// Linnet uses; else of vectors of f16, else as f32. What it is asked beyond these is 0.
  linnet::Result<Peak> peak(std::string_view type, double seconds);

  size_t number = 0;
  std::string device, driver;

private:
  linnet::Result<void> load(uint64_t bytes);
  /// Seconds of one run.
  linnet::Result<double> run(int entry, int64_t times);
  /// Of what one unit of the entry's symbol is `work` of, a second.
  linnet::Result<double> rate(int entry, double work, double seconds);
  linnet::Result<void> checkSums();
  linnet::Result<void> checkResults(const PeakKernel &peak, int64_t groups);

  Kernels kernels;
  bool on_cpu = false; ///< the driver
  uint64_t bytes = 0;
  std::map<int, int64_t> usual; ///< an entry's symbol in the last measurement
  // In the order of their dependence: the last goes first.
  std::shared_ptr<linnet::Artifact> artifact;
  std::shared_ptr<linnet::Device> opened;
  std::shared_ptr<linnet::Executable> executable;
};

} // namespace bench
