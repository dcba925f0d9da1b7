// Measures the limits of a Vulkan device through the runtime: read bandwidth of a buffer in device memory,
// and multiply-adds by type. Figures are medians of the wall time of submissions that are long compared with
// their overhead.
#pragma once
#include "bench/limits/vulkan_program.h"
#include "runtime/device.h"

#include <map>
#include <string_view>

namespace bench {

class VulkanProbe {
public:
  /// `argument` is that of --device vulkan:ARGUMENT. `mib` is the size of the buffer.
  static linnet::Result<VulkanProbe> open(std::string_view argument, long mib);

  /// Takes about `seconds`, but reads the whole buffer at least once.
  linnet::Result<double> readBandwidth(double seconds);
  struct Peak {
    double operations = 0;
    std::string kernel; ///< the kernel with this rate
  };
  /// The peak of a type. "f32": multiply-adds. "f16": matrices with f32 sums, if the device has those that
  /// Linnet uses; else vectors of f16; else like f32. Other types are 0.
  linnet::Result<Peak> peak(std::string_view type, double seconds);

  size_t number = 0;
  std::string device, driver;

private:
  linnet::Result<void> load(uint64_t bytes);
  /// Time of one run in seconds.
  linnet::Result<double> run(int entry, int64_t times);
  /// Work per second. One unit of the entry's symbol is `work` work.
  linnet::Result<double> rate(int entry, double work, double seconds);
  linnet::Result<void> checkSums();
  linnet::Result<void> checkResults(const PeakKernel &peak, int64_t groups);

  Kernels kernels;
  bool on_cpu = false; ///< whether the driver runs on a CPU
  uint64_t bytes = 0;
  std::map<int, int64_t> usual; ///< an entry's symbol in the last measurement
  // In the order of their dependence: the last one is destroyed first.
  std::shared_ptr<linnet::Artifact> artifact;
  std::shared_ptr<linnet::Device> opened;
  std::shared_ptr<linnet::Executable> executable;
};

} // namespace bench
