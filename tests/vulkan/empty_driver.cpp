// A Vulkan driver whose hardware is not there: instances can be made, and have no device.
#include <vulkan/vulkan_core.h>

#include <cstring>

namespace {

/// The loader overwrites the first word of each dispatchable object of a driver.
struct Object {
  void *loader_word = nullptr;
} instance;

VKAPI_ATTR VkResult VKAPI_CALL createInstance(const VkInstanceCreateInfo *, const VkAllocationCallbacks *,
                                              VkInstance *made) {
  *made = reinterpret_cast<VkInstance>(&instance);
  return VK_SUCCESS;
}
VKAPI_ATTR VkResult VKAPI_CALL noDevices(VkInstance, uint32_t *count, VkPhysicalDevice *) {
  *count = 0;
  return VK_SUCCESS;
}
VKAPI_ATTR VkResult VKAPI_CALL noExtensions(const char *, uint32_t *count, VkExtensionProperties *) {
  *count = 0;
  return VK_SUCCESS;
}
/// Every other function: nothing calls it, but the loader needs an address.
VKAPI_ATTR void VKAPI_CALL nothing() {}

} // namespace

extern "C" __attribute__((visibility("default"))) PFN_vkVoidFunction
vk_icdGetInstanceProcAddr(VkInstance, const char *name) {
  const auto is = [&](const char *other) { return std::strcmp(name, other) == 0; };
  if (is("vkCreateInstance")) return reinterpret_cast<PFN_vkVoidFunction>(createInstance);
  if (is("vkEnumeratePhysicalDevices")) return reinterpret_cast<PFN_vkVoidFunction>(noDevices);
  if (is("vkEnumerateInstanceExtensionProperties")) return reinterpret_cast<PFN_vkVoidFunction>(noExtensions);
  if (is("vkEnumerateInstanceVersion") || std::strstr(name, "KHR") || std::strstr(name, "EXT"))
    return nullptr;
  return reinterpret_cast<PFN_vkVoidFunction>(nothing);
}

extern "C" __attribute__((visibility("default"))) VkResult
vk_icdNegotiateLoaderICDInterfaceVersion(uint32_t *version) {
  constexpr uint32_t kInterface = 5;
  if (*version > kInterface) *version = kInterface;
  return VK_SUCCESS;
}
