#include "runtime/cpu/cpu_device.h"
#include "runtime/cpu/executable.h"
#include "support/error.h"

#include <omp.h>

namespace linnet::cpu {
namespace {

class CpuDevice : public Device {
public:
  std::string description(const DeviceOptions &options) const override {
    const int threads = options.threads ? options.threads : omp_get_max_threads();
    return fmt::format("cpu, {} thread{}", threads, threads == 1 ? "" : "s");
  }
  DeviceKind kind() const override { return DeviceKind::Processor; }
  Result<std::unique_ptr<Executable>> load(const Artifact &artifact, const fb::Program &program,
                                           const DeviceOptions &options) override {
    return CpuExecutable::load(artifact, program, options);
  }
};

} // namespace

Result<std::unique_ptr<Device>> openCpuDevice(std::string_view argument) {
  if (!argument.empty()) return errorf("device cpu takes no argument, found '{}'", argument);
  return std::unique_ptr<Device>(std::make_unique<CpuDevice>());
}

} // namespace linnet::cpu
