// linnet devices: lists the devices, whether Linnet uses them, and why not.
#include "commands/devices.h"
#include "arguments.h"
#include "output.h"
#include "runtime/vulkan/vulkan_device.h"
#include "support/json.h"

#include <memory>

namespace linnet::cli {
namespace devices_command {

struct DevicesOptions {
  std::string emulate;
  bool json = false;
};

uint64_t localBytes(const vulkan::Inventory &device) {
  uint64_t bytes = 0;
  for (const vulkan::Heap &heap : device.heaps)
    if (heap.device_local) bytes += heap.bytes;
  return bytes;
}

std::string versionText(uint32_t api) {
  return fmt::format("{}.{}.{}", api >> 22 & 0x7f, api >> 12 & 0x3ff, api & 0xfff);
}

Json toJson(const vulkan::ListedDevice &listed, size_t number) {
  const vulkan::Inventory &device = listed.inventory;
  const vulkan::Limits &limits = device.limits;
  Json json = {{"device", fmt::format("vulkan:{}", number)},
               {"name", device.name},
               {"kind", listed.kind},
               {"driver", device.driver},
               {"vulkan", versionText(device.api)},
               {"usable", listed.refusal.empty()},
               {"why_not", listed.refusal},
               {"default", listed.chosen},
               {"memory_bytes", localBytes(device)},
               {"features", device.features},
               {"limits",
                {{"maxStorageBufferRange", limits.storage_range},
                 {"minStorageBufferOffsetAlignment", limits.storage_alignment},
                 {"maxMemoryAllocationSize", limits.allocation},
                 {"maxPushConstantsSize", limits.push_bytes},
                 {"maxPerStageDescriptorStorageBuffers", limits.bindings},
                 {"maxBoundDescriptorSets", limits.descriptor_sets},
                 {"maxMemoryAllocationCount", limits.allocations},
                 {"maxComputeWorkGroupInvocations", limits.invocations},
                 {"maxComputeWorkGroupSize", limits.local},
                 {"maxComputeWorkGroupCount", limits.groups},
                 {"maxComputeSharedMemorySize", limits.shared_bytes},
                 {"subgroupSize", limits.subgroup}}}};
  if (!device.emulates.empty()) json["emulates"] = device.emulates;
  json["variants_tried"] = listed.tried;
  json["put_aside"] = Json::array();
  for (const vulkan::Tried &one : listed.put_aside)
    json["put_aside"].push_back(
        {{"shader", one.variant.shader}, {"why", vulkan::verdictText(one.verdict)}, {"detail", one.detail}});
  return json;
}

void printVariants(const vulkan::ListedDevice &listed) {
  if (listed.tried == 0) return;
  put("  kernel variants: {} tried, {} put aside\n", listed.tried, listed.put_aside.size());
  for (const vulkan::Tried &one : listed.put_aside)
    put("    {}: {}{}\n", one.variant.shader, vulkan::verdictText(one.verdict),
        one.detail.empty() ? "" : ", " + one.detail);
}

void print(const vulkan::ListedDevice &listed, size_t number) {
  const vulkan::Inventory &device = listed.inventory;
  const vulkan::Limits &limits = device.limits;
  put("vulkan:{}  {} ({}), Vulkan {}, {}\n", number, device.name, listed.kind, versionText(device.api),
      device.driver.empty() ? "unnamed driver" : device.driver);
  if (!device.emulates.empty()) put("  made as poor as: {}\n", device.emulates);
  if (!listed.refusal.empty()) return put("  not used: {}\n", listed.refusal);
  bool cpu = device.kind == vulkan::Kind::cpu;
  if (listed.chosen)
    put("  used for --device vulkan{}\n", cpu ? ": a CPU, as there is no GPU; --device cpu is faster" : "");
  else
    put("  used when asked for by number or name{}\n", cpu ? ": a CPU" : "");
  put("  memory {}, {} a binding, {} bindings, {} invocations and {} shared a workgroup, subgroups of {}\n",
      bytesText(localBytes(device)), bytesText(limits.storage_range), limits.bindings, limits.invocations,
      bytesText(limits.shared_bytes), limits.subgroup);
  std::string features;
  for (const std::string &feature : device.features) features += (features.empty() ? "" : ", ") + feature;
  put("  features: {}\n", features.empty() ? "none" : features);
  printVariants(listed);
}

Json allToJson(const Result<std::vector<vulkan::ListedDevice>> &found) {
  Json json = {{"cpu", {{"device", "cpu"}, {"usable", true}}}, {"vulkan", Json::array()}};
  for (size_t i = 0; found && i < found->size(); ++i) json["vulkan"].push_back(toJson((*found)[i], i));
  if (!found) json["vulkan_error"] = found.error().message;
  return json;
}

Result<void> devices(const DevicesOptions &options) {
  auto found = vulkan::listDevices(options.emulate);
  if (!found && !options.emulate.empty()) return found.error();
  if (options.json) return printJson(allToJson(found)), Result<void>();
  std::vector<vulkan::ListedDevice> list;
  if (found) list = *found;
  put("cpu  always there\n");
  if (!found) put("vulkan  {}\n", found.error().message);
  for (size_t i = 0; i < list.size(); ++i) print(list[i], i);
  return {};
}

} // namespace devices_command

Json devicesJson() { return devices_command::allToJson(vulkan::listDevices()); }

void addDevices(CLI::App &app, Action &action) {
  using namespace devices_command;
  auto options = std::make_shared<DevicesOptions>();
  CLI::App *command = app.add_subcommand("devices", "what there is to run on, and why not");
  command->group("Models");
  command
      ->add_option("--emulate-limits", options->emulate,
                   "show Vulkan devices as poor as this profile says (docs/devices)")
      ->type_name("FILE");
  command->add_flag("--json", options->json, "print JSON");
  command->footer(example("  linnet devices"));
  command->callback([options, &action] { action = [options] { return devices(*options); }; });
}

} // namespace linnet::cli
