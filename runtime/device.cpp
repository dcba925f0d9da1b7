#include "runtime/device.h"
#include "runtime/cpu/cpu_device.h"
#include "support/error.h"

#include <map>
#include <mutex>

namespace linnet {
namespace {

struct Registry {
  std::mutex mutex;
  std::map<std::string, DeviceFactory, std::less<>> factories;
};

Registry &registry() {
  static Registry instance = {{}, {{"cpu", cpu::openCpuDevice}}};
  return instance;
}

} // namespace

void registerDevice(std::string target, DeviceFactory factory) {
  std::lock_guard lock(registry().mutex);
  registry().factories[std::move(target)] = std::move(factory);
}

Result<std::unique_ptr<Device>> openDevice(std::string_view spec) {
  size_t colon = spec.find(':');
  std::string_view target = spec.substr(0, colon);
  std::string_view argument = colon == std::string_view::npos ? std::string_view() : spec.substr(colon + 1);
  DeviceFactory factory;
  std::string known;
  {
    std::lock_guard lock(registry().mutex);
    for (auto &[name, f] : registry().factories) {
      known += (known.empty() ? "" : ", ") + name;
      if (name == target) factory = f;
    }
  }
  if (!factory) return errorf("unknown device '{}', expected one of: {}", spec, known);
  return factory(argument);
}

} // namespace linnet
