#include "runtime/vulkan/vulkan_device.h"
#include "runtime/vulkan/execute/abandoned.h"
#include "runtime/vulkan/execute/executable.h"
#include "runtime/vulkan/trial/qualification.h"
#include "support/error.h"

namespace linnet::vulkan {
namespace {

std::vector<Inventory> inventories(const Instance &instance) {
  std::vector<Inventory> list;
  for (const Instance::Found &found : instance.devices()) list.push_back(found.inventory);
  return list;
}

class VulkanDevice : public Device {
public:
  VulkanDevice(std::shared_ptr<Instance> instance, size_t number)
      : instance(std::move(instance)), number(number) {}
  std::string description(const DeviceOptions &) const override {
    const Inventory &device = instance->devices()[number].inventory;
    return fmt::format("vulkan:{}, {}, {}{}", number, device.name, kindName(device.kind),
                       device.emulates.empty() ? "" : ", as poor as " + device.emulates);
  }
  DeviceKind kind() const override {
    const bool cpu = instance->devices()[number].inventory.kind == Kind::cpu;
    return cpu ? DeviceKind::Driver : DeviceKind::Gpu;
  }
  Result<std::unique_ptr<Executable>> load(const Artifact &artifact, const fb::Program &program,
                                           const DeviceOptions &) override {
    reclaimAbandoned();
    const Inventory &inventory = instance->devices()[number].inventory;
    Qualification qualification(inventory, artifact, program);
    for (;;) {
      LINNET_ASSIGN(std::shared_ptr<Context> context, Context::open(instance, number));
      LINNET_ASSIGN(std::unique_ptr<VulkanExecutable> made,
                    VulkanExecutable::load(context, artifact, program));
      auto sound = qualification.run(made->workbench());
      if (!sound) return errorf("{}: {}", artifact.path(), sound.error().message);
      if (!*sound) continue;
      LINNET_TRY(made->endTrials(qualification.aside(), qualification.trials()));
      return std::unique_ptr<Executable>(std::move(made));
    }
  }

private:
  std::shared_ptr<Instance> instance;
  size_t number;
};

} // namespace

Result<std::unique_ptr<Device>> openVulkanDevice(std::string_view argument) {
  LINNET_ASSIGN(std::shared_ptr<Instance> instance, Instance::create());
  LINNET_ASSIGN(size_t number, chooseDevice(inventories(*instance), std::string(argument)));
  return std::unique_ptr<Device>(std::make_unique<VulkanDevice>(std::move(instance), number));
}

Result<FoundDevice> findDevice(std::string_view argument) {
  LINNET_ASSIGN(std::shared_ptr<Instance> instance, Instance::create());
  LINNET_ASSIGN(size_t number, chooseDevice(inventories(*instance), std::string(argument)));
  return FoundDevice{number, instance->devices()[number].inventory};
}

Result<std::function<bool(const fb::ShaderT &)>> shaderFilter(std::string_view argument) {
  LINNET_ASSIGN(FoundDevice found, findDevice(argument));
  return std::function([inventory = std::move(found.inventory)](const fb::ShaderT &described) {
    fb::ShaderT shader(described);
    shader.words = std::make_unique<fb::BlobT>();
    flatbuffers::FlatBufferBuilder builder;
    builder.Finish(fb::Shader::Pack(builder, &shader));
    return refusal(inventory, *flatbuffers::GetRoot<fb::Shader>(builder.GetBufferPointer())).empty();
  });
}

Result<std::vector<ListedDevice>> listDevices(const std::string &emulated) {
  if (!emulated.empty()) emulateLimits(emulated);
  LINNET_ASSIGN(std::shared_ptr<Instance> instance, Instance::create());
  std::vector<ListedDevice> list;
  for (Inventory &inventory : inventories(*instance)) {
    list.push_back({inventory, kindName(inventory.kind), inventory.refusal(), {}, 0});
    const Verdicts verdicts = Verdicts::read(inventory);
    for (const auto &[hash, found] : verdicts.all()) {
      ++list.back().tried;
      if (found.verdict != Verdict::ok) list.back().put_aside.push_back(found);
    }
  }
  if (auto best = chooseDevice(inventories(*instance), "")) list[*best].chosen = true;
  return list;
}

} // namespace linnet::vulkan
