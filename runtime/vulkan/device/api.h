// Vulkan's functions, resolved at run time, because the runtime links no loader. It is a plain table of the C
// API: for sixty calls, vulkan.hpp would add megabytes of headers to every file here, and exceptions.
#pragma once
#define VK_NO_PROTOTYPES
#include "support/result.h"

#include <string_view>
#include <vulkan/vulkan_core.h>

#define LINNET_VULKAN_INSTANCE_CALLS(X)                                                                      \
  X(DestroyInstance)                                                                                         \
  X(EnumeratePhysicalDevices)                                                                                \
  X(GetPhysicalDeviceProperties)                                                                             \
  X(GetPhysicalDeviceProperties2)                                                                            \
  X(GetPhysicalDeviceFeatures2)                                                                              \
  X(GetPhysicalDeviceMemoryProperties2)                                                                      \
  X(GetPhysicalDeviceQueueFamilyProperties)                                                                  \
  X(EnumerateDeviceExtensionProperties)                                                                      \
  X(CreateDevice)                                                                                            \
  X(GetDeviceProcAddr)

#define LINNET_VULKAN_DEVICE_CALLS(X)                                                                        \
  X(DestroyDevice)                                                                                           \
  X(GetDeviceQueue)                                                                                          \
  X(DeviceWaitIdle)                                                                                          \
  X(AllocateMemory)                                                                                          \
  X(FreeMemory)                                                                                              \
  X(MapMemory)                                                                                               \
  X(CreateBuffer)                                                                                            \
  X(DestroyBuffer)                                                                                           \
  X(GetBufferMemoryRequirements)                                                                             \
  X(BindBufferMemory)                                                                                        \
  X(CreateBufferView)                                                                                        \
  X(DestroyBufferView)                                                                                       \
  X(CreateShaderModule)                                                                                      \
  X(DestroyShaderModule)                                                                                     \
  X(CreateDescriptorSetLayout)                                                                               \
  X(DestroyDescriptorSetLayout)                                                                              \
  X(CreatePipelineLayout)                                                                                    \
  X(DestroyPipelineLayout)                                                                                   \
  X(CreatePipelineCache)                                                                                     \
  X(DestroyPipelineCache)                                                                                    \
  X(GetPipelineCacheData)                                                                                    \
  X(CreateComputePipelines)                                                                                  \
  X(DestroyPipeline)                                                                                         \
  X(CreateDescriptorPool)                                                                                    \
  X(DestroyDescriptorPool)                                                                                   \
  X(AllocateDescriptorSets)                                                                                  \
  X(UpdateDescriptorSets)                                                                                    \
  X(CreateCommandPool)                                                                                       \
  X(DestroyCommandPool)                                                                                      \
  X(AllocateCommandBuffers)                                                                                  \
  X(FreeCommandBuffers)                                                                                      \
  X(BeginCommandBuffer)                                                                                      \
  X(EndCommandBuffer)                                                                                        \
  X(CmdBindPipeline)                                                                                         \
  X(CmdBindDescriptorSets)                                                                                   \
  X(CmdPushConstants)                                                                                        \
  X(CmdDispatch)                                                                                             \
  X(CmdPipelineBarrier)                                                                                      \
  X(CmdCopyBuffer)                                                                                           \
  X(CmdFillBuffer)                                                                                           \
  X(CmdResetQueryPool)                                                                                       \
  X(CmdWriteTimestamp)                                                                                       \
  X(CreateQueryPool)                                                                                         \
  X(DestroyQueryPool)                                                                                        \
  X(GetQueryPoolResults)                                                                                     \
  X(CreateFence)                                                                                             \
  X(DestroyFence)                                                                                            \
  X(ResetFences)                                                                                             \
  X(WaitForFences)                                                                                           \
  X(QueueSubmit)

// The headers of Debian 12 lack VK_KHR_cooperative_matrix.
#ifndef VK_KHR_cooperative_matrix
#define VK_KHR_cooperative_matrix 1
#define VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME "VK_KHR_cooperative_matrix"
inline constexpr auto VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR =
    static_cast<VkStructureType>(1000506000);
inline constexpr auto VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR =
    static_cast<VkStructureType>(1000506001);
enum VkScopeKHR { VK_SCOPE_SUBGROUP_KHR = 3, VK_SCOPE_MAX_ENUM_KHR = 0x7FFFFFFF };
enum VkComponentTypeKHR {
  VK_COMPONENT_TYPE_FLOAT16_KHR = 0,
  VK_COMPONENT_TYPE_FLOAT32_KHR = 1,
  VK_COMPONENT_TYPE_SINT8_KHR = 3,
  VK_COMPONENT_TYPE_SINT32_KHR = 5,
  VK_COMPONENT_TYPE_MAX_ENUM_KHR = 0x7FFFFFFF
};
struct VkPhysicalDeviceCooperativeMatrixFeaturesKHR {
  VkStructureType sType;
  void *pNext;
  VkBool32 cooperativeMatrix, cooperativeMatrixRobustBufferAccess;
};
struct VkCooperativeMatrixPropertiesKHR {
  VkStructureType sType;
  void *pNext;
  uint32_t MSize, NSize, KSize;
  VkComponentTypeKHR AType, BType, CType, ResultType;
  VkBool32 saturatingAccumulation;
  VkScopeKHR scope;
};
typedef VkResult(VKAPI_PTR *PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR)(
    VkPhysicalDevice, uint32_t *, VkCooperativeMatrixPropertiesKHR *);
#endif

namespace linnet::vulkan {

/// The loader and its functions. It is never unloaded, because drivers keep threads and exit handlers.
struct Api {
  PFN_vkGetInstanceProcAddr GetInstanceProcAddr = nullptr;
  PFN_vkCreateInstance CreateInstance = nullptr;
  PFN_vkEnumerateInstanceVersion EnumerateInstanceVersion = nullptr;
  PFN_vkEnumerateInstanceExtensionProperties EnumerateInstanceExtensionProperties = nullptr;
  PFN_vkEnumerateInstanceLayerProperties EnumerateInstanceLayerProperties = nullptr;
#define X(name) PFN_vk##name name = nullptr;
  LINNET_VULKAN_INSTANCE_CALLS(X)
  LINNET_VULKAN_DEVICE_CALLS(X)
#undef X
  PFN_vkGetMemoryHostPointerPropertiesEXT GetMemoryHostPointerPropertiesEXT = nullptr; ///< null: no extension

  /// Opens libvulkan.so.1, or the library that LINNET_VULKAN_LOADER names.
  static Result<Api> open();
  Result<void> bindInstance(VkInstance instance);
  Result<void> bindDevice(VkDevice device);
};

/// An error if `result` is one: `what` failed, and the cause ("device lost", "out of device memory").
Result<void> check(VkResult result, std::string_view what);
const char *resultText(VkResult result);

} // namespace linnet::vulkan
