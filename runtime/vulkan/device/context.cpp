#include "runtime/vulkan/device/context.h"
#include "runtime/vulkan/device/fault.h"
#include "runtime/vulkan/device/features.h"
#include "support/error.h"

#include <charconv>
#include <cstdlib>
#include <cstring>

namespace linnet::vulkan {
namespace {

// Seconds. A GPU's driver ends longer work, if it can. On a CPU with two cores, GPT-2 takes seconds for a
// prompt of 1,024 tokens, and GPT-2 XL takes minutes for several prompts.
constexpr uint32_t kPatienceGpu = 2 * 60, kPatienceCpu = 10 * 60;

Result<uint32_t> patienceFor(Kind kind) {
  const char *variable = std::getenv("LINNET_VULKAN_PATIENCE");
  if (!variable || !*variable) return kind == Kind::cpu ? kPatienceCpu : kPatienceGpu;
  uint32_t seconds = 0;
  const char *end = variable + std::strlen(variable);
  if (auto read = std::from_chars(variable, end, seconds); read.ec != std::errc() || read.ptr != end)
    return errorf("LINNET_VULKAN_PATIENCE: expected a number of seconds, found '{}'", variable);
  return seconds;
}

} // namespace

Result<std::shared_ptr<Context>> Context::open(std::shared_ptr<Instance> instance, size_t number) {
  const Instance::Found &found = instance->devices()[number];
  std::shared_ptr<Context> made(new Context(std::move(instance)));
  made->api = made->instance->functions();
  made->inventory = found.inventory;
  LINNET_ASSIGN(made->patience, patienceFor(found.inventory.kind));
  LINNET_TRY(checkFaults());
  const Api &api = made->api;
  uint32_t count = 0;
  api.EnumerateDeviceExtensionProperties(found.handle, nullptr, &count, nullptr);
  std::vector<VkExtensionProperties> list(count);
  api.EnumerateDeviceExtensionProperties(found.handle, nullptr, &count, list.data());
  std::set<std::string> offered;
  for (const VkExtensionProperties &e : list) offered.insert(e.extensionName);
  FeatureChain chain(found.inventory.api, offered);
  api.GetPhysicalDeviceFeatures2(found.handle, chain.head());
  chain.reduce();
  std::vector<const char *> extensions = chain.extensions();
  const bool imports = offered.count(VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME);
  if (imports) extensions.push_back(VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME);
  if (offered.count("VK_KHR_portability_subset")) extensions.push_back("VK_KHR_portability_subset");
  float priority = 1;
  VkDeviceQueueCreateInfo queue = {};
  queue.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO;
  queue.queueFamilyIndex = static_cast<uint32_t>(found.inventory.queue_family);
  queue.queueCount = 1;
  queue.pQueuePriorities = &priority;
  VkDeviceCreateInfo info = {};
  info.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO;
  info.pNext = chain.head();
  info.queueCreateInfoCount = 1;
  info.pQueueCreateInfos = &queue;
  info.enabledExtensionCount = static_cast<uint32_t>(extensions.size());
  info.ppEnabledExtensionNames = extensions.data();
  LINNET_TRY(check(api.CreateDevice(found.handle, &info, nullptr, &made->device),
                   fmt::format("cannot open device {}", found.inventory.name)));
  LINNET_TRY(made->api.bindDevice(made->device));
  if (imports)
    made->api.GetMemoryHostPointerPropertiesEXT = reinterpret_cast<PFN_vkGetMemoryHostPointerPropertiesEXT>(
        api.GetDeviceProcAddr(made->device, "vkGetMemoryHostPointerPropertiesEXT"));
  made->api.GetDeviceQueue(made->device, queue.queueFamilyIndex, 0, &made->queue);
  VkCommandPoolCreateInfo pool = {};
  pool.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO;
  pool.queueFamilyIndex = queue.queueFamilyIndex;
  LINNET_TRY(check(made->api.CreateCommandPool(made->device, &pool, nullptr, &made->commands),
                   "cannot make a command pool"));
  VkFenceCreateInfo fence = {};
  fence.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO;
  LINNET_TRY(
      check(made->api.CreateFence(made->device, &fence, nullptr, &made->fence), "cannot make a fence"));
  return made;
}

Context::~Context() {
  if (!device || !api.DestroyDevice) return;
  api.DeviceWaitIdle(device);
  if (fence) api.DestroyFence(device, fence, nullptr);
  if (commands) api.DestroyCommandPool(device, commands, nullptr);
  api.DestroyDevice(device, nullptr);
}

Result<VkCommandBuffer> Context::newCommands() {
  VkCommandBufferAllocateInfo info = {};
  info.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO;
  info.commandPool = commands;
  info.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
  info.commandBufferCount = 1;
  VkCommandBuffer buffer = nullptr;
  LINNET_TRY(check(api.AllocateCommandBuffers(device, &info, &buffer), "cannot make a command buffer"));
  return buffer;
}

Result<void> Context::submit(std::span<const VkCommandBuffer> buffers) {
  VkSubmitInfo info = {};
  info.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO;
  info.commandBufferCount = static_cast<uint32_t>(buffers.size());
  info.pCommandBuffers = buffers.data();
  LINNET_TRY(ready());
  LINNET_TRY(check(outcome = api.ResetFences(device, 1, &fence), "cannot reset a fence"));
  LINNET_TRY(check(outcome = api.QueueSubmit(queue, 1, &info, fence), "cannot submit"));
  outcome = patience ? wait(patience) : VK_TIMEOUT;
  if (outcome != VK_TIMEOUT) return check(outcome, "waiting for the device");
  return errorf("{} has not finished in {} seconds: its driver or a shader hangs, or it needs longer "
                "(LINNET_VULKAN_PATIENCE=SECONDS)",
                inventory.name, patience);
}

Result<void> Context::ready() const {
  if (outcome != VK_TIMEOUT) return {};
  return errorf("{} has not finished an earlier run; the model has to be loaded anew", inventory.name);
}

// Waits one second at a time, so that time during which the process is stopped does not count.
VkResult Context::wait(uint32_t seconds) const {
  constexpr uint64_t kSecond = 1'000'000'000;
  VkResult result = VK_TIMEOUT;
  do result = api.WaitForFences(device, 1, &fence, VK_TRUE, seconds ? kSecond : 0);
  while (result == VK_TIMEOUT && seconds-- > 1);
  return result;
}

} // namespace linnet::vulkan
