#include "runtime/device.h"
#include "runtime/cpu/cpu_device.h"
#include "runtime/vulkan/vulkan_device.h"
#include "support/error.h"

#include <algorithm>
#include <map>
#include <mutex>

namespace linnet {
namespace {

struct Registry {
  std::mutex mutex;
  std::map<std::string, DeviceFactory, std::less<>> factories;
};

Registry &registry() {
  static Registry instance = {{}, {{"cpu", cpu::openCpuDevice}, {"vulkan", vulkan::openVulkanDevice}}};
  return instance;
}

} // namespace

bool LoopSpec::isGiven(Port input) const {
  return std::any_of(carries.begin(), carries.end(), [&](const Carry &carry) {
    return carry.input.stage == input.stage && carry.input.number == input.number &&
           carry.output.stage < input.stage;
  });
}

Result<void> Executable::readState(std::string_view name, std::span<std::byte>) {
  return errorf("state \"{}\": this device does not give its states out", name);
}
Result<void> Executable::writeState(std::string_view name, std::span<const std::byte>) {
  return errorf("state \"{}\": this device does not take states in", name);
}

Result<void> Executable::selectRows(int64_t first) {
  if (first == 0) return {};
  return Error{"this device cannot begin at another row than the first"};
}
Result<void> Executable::copyRow(int64_t, int64_t, int64_t) {
  return Error{"this device does not copy rows of its states"};
}
Result<std::vector<std::byte>> Executable::readRow(int64_t, int64_t) {
  return Error{"this device does not read rows of its states"};
}
Result<void> Executable::writeRow(int64_t, int64_t, std::span<const std::byte>) {
  return Error{"this device does not write rows of its states"};
}

Result<uint32_t> findState(const fb::Program &program, std::string_view name, uint64_t bytes) {
  for (uint32_t i = 0; i < program.states()->size(); ++i) {
    const fb::State &state = *program.states()->Get(i);
    if (state.name()->string_view() != name) continue;
    if (state.bytes() == bytes) return i;
    return errorf("state \"{}\" has {} bytes, found {}", name, state.bytes(), bytes);
  }
  return errorf("the program has no state \"{}\"", name);
}

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
  if (colon + 1 == spec.size())
    return errorf("device '{}': expected a number or name after the colon (vulkan:0, vulkan:NAME)", spec);
  return factory(argument);
}

} // namespace linnet
