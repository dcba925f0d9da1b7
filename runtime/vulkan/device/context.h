// A Vulkan instance, one of its devices, and the device's queue.
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

/// Sets a handler for messages of the validation layers, for tests. Devices opened later enable the layers
/// (core and synchronization validation); opening fails if they are not installed. Null disables them.
LINNET_API void setMessageHandler(std::function<void(const std::string &)> handler);

/// Limits all later devices to this profile, a file as in docs/devices; "" disables it. Without it, the
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
  /// All devices in the loader's order, including those that Linnet cannot use.
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

/// The index of the device that `argument` selects: a number, a part of a name, or "" for the best device (a
/// CPU only if there is no other). Errors list the devices.
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
  uint32_t allocations = 0; ///< current number of memory allocations
  /// Seconds that a submission may take; 0: do not wait.
  uint32_t patience = 0;
  /// Result of the last submission. VK_TIMEOUT: it is still running, and nothing that it uses may be
  /// destroyed (abandoned.h).
  VkResult outcome = VK_SUCCESS;
  /// An error if a submission is still running: its memory must not be read or written.
  Result<void> ready() const;

  /// Submits the buffers, which execute in this order, and waits for them.
  Result<void> submit(std::span<const VkCommandBuffer> buffers);
  /// Waits for the submission, at most `seconds`; 0 only polls. Returns VK_TIMEOUT if it is still running.
  VkResult wait(uint32_t seconds) const;
  Result<VkCommandBuffer> newCommands();

private:
  explicit Context(std::shared_ptr<Instance> instance) : instance(std::move(instance)) {}
  std::shared_ptr<Instance> instance;
  VkFence fence = nullptr;
};

} // namespace linnet::vulkan
