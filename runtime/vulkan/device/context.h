// An instance, a device of it and its queue.
#pragma once
#include "linnet/api.h"
#include "runtime/vulkan/device/api.h"
#include "runtime/vulkan/device/inventory.h"
#include "support/result.h"

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace linnet::vulkan {

/// Hears what the validation layers say; a test sets it before it opens a device, which then has the layers
/// on (core and synchronization validation). Opening fails where they are not installed. Null: none again.
LINNET_API void setMessageHandler(std::function<void(const std::string &)> handler);

/// All later devices look as poor as this profile (a file as in docs/devices); "": no more. Without it the
/// variable LINNET_EMULATE_LIMITS may name a file.
LINNET_API void emulateLimits(std::string path);

class Instance {
public:
  static Result<std::shared_ptr<Instance>> create();
  ~Instance();
  struct Found {
    VkPhysicalDevice handle = nullptr;
    Inventory inventory;
  };
  /// All devices in the loader's order, those that Linnet cannot use included.
  const std::vector<Found> &devices() const { return found; }
  const Api &functions() const { return api; }

private:
  Instance() = default;
  Result<void> start();
  Result<void> look();
  Api api;
  VkInstance instance = nullptr;
  void *messenger = nullptr;
  std::vector<Found> found;
};

/// Which of `devices` `argument` means: "" the best that is no CPU (a CPU where there is nothing else), a
/// number, or part of a name. An error lists what there is.
Result<size_t> chooseDevice(std::span<const Inventory> devices, const std::string &argument);

class Context {
public:
  static Result<std::shared_ptr<Context>> open(std::shared_ptr<Instance> instance, size_t device);
  ~Context();
  Context(const Context &) = delete;

  Api api;
  Inventory inventory;
  VkDevice device = nullptr;
  VkQueue queue = nullptr;
  VkCommandPool commands = nullptr;
  uint32_t allocations = 0; ///< of memory, that there are
  /// Seconds that a submission may take; 0: none is waited for.
  uint32_t patience = 0;
  /// What became of the last submission. VK_TIMEOUT: it is still under way, and nothing that it touches may
  /// be destroyed (abandoned.h).
  VkResult outcome = VK_SUCCESS;
  /// An error where a submission is still under way: what it touches is not to be read or written either.
  Result<void> ready() const;

  /// Submits, to be executed in this order, and waits.
  Result<void> submit(std::span<const VkCommandBuffer> buffers);
  /// Waits for what was submitted, `seconds` at most; 0: looks. VK_TIMEOUT: it is still under way.
  VkResult wait(uint32_t seconds) const;
  Result<VkCommandBuffer> newCommands();

private:
  explicit Context(std::shared_ptr<Instance> instance) : instance(std::move(instance)) {}
  std::shared_ptr<Instance> instance;
  VkFence fence = nullptr;
};

} // namespace linnet::vulkan
