#include "runtime/cpu/cpu_device.h"
#include "runtime/cpu/executable.h"
#include "support/error.h"

#include <omp.h>

namespace linnet::cpu {
namespace {

class CpuDevice : public Device {
public:
  std::string description() const override { return fmt::format("cpu, {} threads", omp_get_max_threads()); }
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
