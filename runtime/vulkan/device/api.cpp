#include "runtime/vulkan/device/api.h"
#include "support/error.h"

#include <cstdlib>
#include <dlfcn.h>

namespace linnet::vulkan {

Result<Api> Api::open() {
  const char *chosen = std::getenv("LINNET_VULKAN_LOADER");
  const char *name = chosen && *chosen ? chosen : "libvulkan.so.1";
  void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
  if (!library)
    return errorf("no Vulkan loader: {} cannot be opened ({}); install your system's package of it "
                  "(Debian: libvulkan1) and a driver",
                  name, dlerror());
  Api api;
  api.GetInstanceProcAddr =
      reinterpret_cast<PFN_vkGetInstanceProcAddr>(dlsym(library, "vkGetInstanceProcAddr"));
  if (!api.GetInstanceProcAddr) return errorf("{} is no Vulkan loader: it lacks vkGetInstanceProcAddr", name);
#define X(call)                                                                                              \
  api.call = reinterpret_cast<PFN_vk##call>(api.GetInstanceProcAddr(nullptr, "vk" #call));                   \
  if (!api.call) return errorf("{}: Vulkan 1.1 is needed, vk" #call " is missing", name);
  X(CreateInstance)
  X(EnumerateInstanceVersion)
  X(EnumerateInstanceExtensionProperties)
  X(EnumerateInstanceLayerProperties)
#undef X
  return api;
}

Result<void> Api::bindInstance(VkInstance instance) {
#define X(call)                                                                                              \
  call = reinterpret_cast<PFN_vk##call>(GetInstanceProcAddr(instance, "vk" #call));                          \
  if (!call) return Error{"the Vulkan loader lacks vk" #call};
  LINNET_VULKAN_INSTANCE_CALLS(X)
#undef X
  return {};
}

Result<void> Api::bindDevice(VkDevice device) {
#define X(call)                                                                                              \
  call = reinterpret_cast<PFN_vk##call>(GetDeviceProcAddr(device, "vk" #call));                              \
  if (!call) return Error{"the Vulkan driver lacks vk" #call};
  LINNET_VULKAN_DEVICE_CALLS(X)
#undef X
  return {};
}

const char *resultText(VkResult result) {
  switch (result) {
  case VK_ERROR_DEVICE_LOST:
    return "the device was lost (its driver reset it or crashed)";
  case VK_ERROR_OUT_OF_DEVICE_MEMORY:
    return "out of device memory";
  case VK_ERROR_OUT_OF_HOST_MEMORY:
    return "out of memory";
  case VK_ERROR_FEATURE_NOT_PRESENT:
    return "a feature is missing";
  case VK_ERROR_EXTENSION_NOT_PRESENT:
    return "an extension is missing";
  case VK_ERROR_INCOMPATIBLE_DRIVER:
    return "no driver fits the loader";
  case VK_ERROR_LAYER_NOT_PRESENT:
    return "a layer is missing";
  case VK_ERROR_INITIALIZATION_FAILED:
    return "the driver could not start";
  case VK_ERROR_TOO_MANY_OBJECTS:
    return "too many objects";
  case VK_TIMEOUT:
    return "no answer in time";
  default:
    return "unexpected failure";
  }
}

Result<void> check(VkResult result, std::string_view what) {
  if (result >= VK_SUCCESS && result != VK_TIMEOUT) return {};
  return errorf("Vulkan: {}: {} ({})", what, resultText(result), static_cast<int>(result));
}

} // namespace linnet::vulkan
