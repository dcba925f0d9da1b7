#include "runtime/vulkan/device/context.h"
#include "runtime/vulkan/device/driver_files.h"
#include "runtime/vulkan/device/features.h"
#include "support/error.h"
#include "support/file.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <cstring>

namespace linnet::vulkan {
namespace {

std::function<void(const std::string &)> message_handler;
std::string emulated_profile;

VKAPI_ATTR VkBool32 VKAPI_CALL onMessage(VkDebugUtilsMessageSeverityFlagBitsEXT,
                                         VkDebugUtilsMessageTypeFlagsEXT,
                                         const VkDebugUtilsMessengerCallbackDataEXT *data, void *) {
  // The layers report a fence that takes long on a loaded machine as "most likely a validation bug".
  const bool own =
      data->pMessageIdName && !std::strcmp(data->pMessageIdName, "UNASSIGNED-VkFence-state-timeout");
  if (message_handler && data->pMessage && !own) message_handler(data->pMessage);
  return VK_FALSE;
}

std::set<std::string> extensionsOf(const Api &api, VkPhysicalDevice device) {
  uint32_t count = 0;
  api.EnumerateDeviceExtensionProperties(device, nullptr, &count, nullptr);
  std::vector<VkExtensionProperties> list(count);
  api.EnumerateDeviceExtensionProperties(device, nullptr, &count, list.data());
  std::set<std::string> names;
  for (const VkExtensionProperties &e : list) names.insert(e.extensionName);
  return names;
}

Kind kindOf(VkPhysicalDeviceType type) {
  switch (type) {
  case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
    return Kind::integrated;
  case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
    return Kind::discrete;
  case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
    return Kind::virtual_gpu;
  case VK_PHYSICAL_DEVICE_TYPE_CPU:
    return Kind::cpu;
  default:
    return Kind::other;
  }
}

void readLimits(Inventory &to, const VkPhysicalDeviceLimits &from,
                const VkPhysicalDeviceMaintenance3Properties &m) {
  Limits &limits = to.limits;
  limits.storage_range = from.maxStorageBufferRange;
  limits.storage_alignment = from.minStorageBufferOffsetAlignment;
  limits.texel_alignment = from.minTexelBufferOffsetAlignment;
  limits.allocation = m.maxMemoryAllocationSize;
  limits.texels = from.maxTexelBufferElements;
  limits.push_bytes = from.maxPushConstantsSize;
  limits.bindings = std::min({from.maxPerStageDescriptorStorageBuffers, from.maxDescriptorSetStorageBuffers,
                              from.maxPerStageResources});
  limits.descriptor_sets = from.maxBoundDescriptorSets;
  limits.allocations = from.maxMemoryAllocationCount;
  limits.invocations = from.maxComputeWorkGroupInvocations;
  std::copy_n(from.maxComputeWorkGroupSize, 3, limits.local.begin());
  std::copy_n(from.maxComputeWorkGroupCount, 3, limits.groups.begin());
  limits.shared_bytes = from.maxComputeSharedMemorySize;
}

void readSubgroups(Inventory &to, const VkPhysicalDeviceSubgroupProperties &from) {
  to.limits.subgroup = to.limits.subgroup_min = to.limits.subgroup_max = std::max(1u, from.subgroupSize);
  if (!(from.supportedStages & VK_SHADER_STAGE_COMPUTE_BIT)) return;
  for (auto [bit, name] : kSubgroupFeatures)
    if (from.supportedOperations & bit) to.features.insert(name);
}

const char *componentName(VkComponentTypeKHR type) {
  switch (type) {
  case VK_COMPONENT_TYPE_FLOAT16_KHR:
    return "f16";
  case VK_COMPONENT_TYPE_FLOAT32_KHR:
    return "f32";
  case VK_COMPONENT_TYPE_SINT8_KHR:
    return "i8";
  case VK_COMPONENT_TYPE_SINT32_KHR:
    return "i32";
  default:
    return nullptr;
  }
}

void readMatrices(const Api &api, VkInstance instance, VkPhysicalDevice device, Inventory &to) {
  auto list = reinterpret_cast<PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR>(
      api.GetInstanceProcAddr(instance, "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR"));
  if (!list) return;
  uint32_t count = 0;
  list(device, &count, nullptr);
  std::vector<VkCooperativeMatrixPropertiesKHR> shapes(
      count, {VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR, nullptr, 0, 0, 0, {}, {}, {}, {}, 0, {}});
  list(device, &count, shapes.data());
  for (const auto &shape : shapes) {
    const char *a = componentName(shape.AType), *c = componentName(shape.CType);
    bool plain = shape.AType == shape.BType && shape.CType == shape.ResultType &&
                 shape.scope == VK_SCOPE_SUBGROUP_KHR && !shape.saturatingAccumulation;
    if (a && c && plain)
      to.features.insert(
          fmt::format("cooperative_matrix/{}x{}x{}/{}/{}", shape.MSize, shape.NSize, shape.KSize, a, c));
  }
}

void readMemory(const Api &api, VkPhysicalDevice device, bool budgets, Inventory &to) {
  VkPhysicalDeviceMemoryBudgetPropertiesEXT budget = {};
  budget.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT;
  VkPhysicalDeviceMemoryProperties2 memory = {};
  memory.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2;
  if (budgets) memory.pNext = &budget;
  api.GetPhysicalDeviceMemoryProperties2(device, &memory);
  const VkPhysicalDeviceMemoryProperties &p = memory.memoryProperties;
  for (uint32_t i = 0; i < p.memoryHeapCount; ++i) {
    Heap heap{p.memoryHeaps[i].size, p.memoryHeaps[i].size,
              (p.memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) != 0};
    if (budgets) heap.available = budget.heapBudget[i] - std::min(budget.heapBudget[i], budget.heapUsage[i]);
    to.heaps.push_back(heap);
  }
  for (uint32_t i = 0; i < p.memoryTypeCount; ++i) {
    VkMemoryPropertyFlags flags = p.memoryTypes[i].propertyFlags;
    to.types.push_back({p.memoryTypes[i].heapIndex, (flags & VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT) != 0,
                        (flags & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT) != 0,
                        (flags & VK_MEMORY_PROPERTY_HOST_COHERENT_BIT) != 0,
                        (flags & VK_MEMORY_PROPERTY_HOST_CACHED_BIT) != 0});
  }
}

void readQueues(const Api &api, VkPhysicalDevice device, double period, Inventory &to) {
  uint32_t count = 0;
  api.GetPhysicalDeviceQueueFamilyProperties(device, &count, nullptr);
  std::vector<VkQueueFamilyProperties> families(count);
  api.GetPhysicalDeviceQueueFamilyProperties(device, &count, families.data());
  for (uint32_t i = 0; i < count && to.queue_family < 0; ++i) {
    if (!(families[i].queueFlags & VK_QUEUE_COMPUTE_BIT)) continue;
    to.queue_family = static_cast<int>(i);
    const uint32_t bits = families[i].timestampValidBits; // 0, or 36 to 64
    to.timestamp_ns = bits ? period : 0;
    to.timestamp_mask = bits >= 64 ? ~uint64_t(0) : (uint64_t(1) << bits) - 1;
  }
}

Inventory readInventory(const Api &api, VkInstance instance, VkPhysicalDevice device) {
  Inventory to;
  VkPhysicalDeviceProperties plain;
  api.GetPhysicalDeviceProperties(device, &plain);
  to.name = plain.deviceName;
  to.api = plain.apiVersion;
  to.kind = kindOf(plain.deviceType);
  to.vendor = plain.vendorID, to.device = plain.deviceID, to.driver_version = plain.driverVersion;
  std::copy_n(plain.pipelineCacheUUID, VK_UUID_SIZE, to.cache_uuid.begin());
  if (!to.refusal().empty() && plain.apiVersion < VK_API_VERSION_1_1) return to;
  std::set<std::string> extensions = extensionsOf(api, device);
  auto knows = [&](uint32_t since, const char *extension) {
    return plain.apiVersion >= since || extensions.count(extension);
  };
  VkPhysicalDeviceSubgroupSizeControlProperties sizes = {};
  sizes.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES;
  VkPhysicalDeviceDriverProperties driver = {};
  driver.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES;
  VkPhysicalDeviceMaintenance3Properties maintenance = {};
  maintenance.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES;
  VkPhysicalDeviceSubgroupProperties subgroups = {};
  subgroups.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES;
  subgroups.pNext = &maintenance;
  bool has_sizes = knows(VK_API_VERSION_1_3, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME);
  bool has_driver = knows(VK_API_VERSION_1_2, VK_KHR_DRIVER_PROPERTIES_EXTENSION_NAME);
  VkPhysicalDeviceProperties2 properties = {};
  properties.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2;
  properties.pNext = &subgroups;
  void **tail = &maintenance.pNext;
  if (has_sizes) *tail = &sizes, tail = &sizes.pNext;
  if (has_driver) *tail = &driver, tail = &driver.pNext;
  VkPhysicalDeviceExternalMemoryHostPropertiesEXT host = {};
  host.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_MEMORY_HOST_PROPERTIES_EXT;
  if (extensions.count(VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME)) *tail = &host;
  api.GetPhysicalDeviceProperties2(device, &properties);
  if (has_driver) to.driver = fmt::format("{} {}", driver.driverName, driver.driverInfo);
  readLimits(to, properties.properties.limits, maintenance);
  to.limits.host_pointer = host.minImportedHostPointerAlignment;
  // LP_MAX_TGSI_LOOP_ITERATIONS of Mesa's gallivm minus one, because it counts down to 0.
  if (to.name.starts_with("llvmpipe")) to.limits.loop_steps = 65534;
  readSubgroups(to, subgroups);
  FeatureChain chain(plain.apiVersion, extensions);
  api.GetPhysicalDeviceFeatures2(device, chain.head());
  to.features.merge(chain.names());
  if (has_sizes && chain.size_control.subgroupSizeControl &&
      (sizes.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT))
    to.limits.subgroup_min = sizes.minSubgroupSize, to.limits.subgroup_max = sizes.maxSubgroupSize;
  if (chain.matrix.cooperativeMatrix) readMatrices(api, instance, device, to);
  to.features.insert(to.kind == Kind::cpu ? "cpu" : "gpu");
  readMemory(api, device, extensions.count(VK_EXT_MEMORY_BUDGET_EXTENSION_NAME), to);
  readQueues(api, device, static_cast<double>(plain.limits.timestampPeriod), to);
  return to;
}

std::string lowered(std::string text) {
  for (char &c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

// The order of preference: discrete, integrated and virtual GPUs, then CPUs.
int rank(const Inventory &inventory) {
  switch (inventory.kind) {
  case Kind::discrete:
    return 0;
  case Kind::integrated:
    return 1;
  case Kind::virtual_gpu:
    return 2;
  case Kind::other:
    return 3;
  case Kind::cpu:
    break;
  }
  return 4;
}

} // namespace

void setMessageHandler(std::function<void(const std::string &)> handler) {
  message_handler = std::move(handler);
}
void emulateLimits(std::string path) { emulated_profile = std::move(path); }

Result<std::shared_ptr<Instance>> Instance::create() {
  std::shared_ptr<Instance> made(new Instance());
  LINNET_ASSIGN(made->api, Api::open());
  LINNET_TRY(made->start());
  LINNET_TRY(made->look());
  return made;
}

Result<void> Instance::start() {
  uint32_t count = 0;
  api.EnumerateInstanceExtensionProperties(nullptr, &count, nullptr);
  std::vector<VkExtensionProperties> offered(count);
  api.EnumerateInstanceExtensionProperties(nullptr, &count, offered.data());
  std::vector<const char *> extensions, layers;
  VkApplicationInfo application = {};
  application.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO;
  application.pApplicationName = application.pEngineName = "linnet";
  application.apiVersion = VK_API_VERSION_1_3; // the newest that Linnet uses; a device's may be older
  VkInstanceCreateInfo info = {};
  info.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO;
  info.pApplicationInfo = &application;
  for (const VkExtensionProperties &e : offered)
    if (std::strcmp(e.extensionName, VK_KHR_PORTABILITY_ENUMERATION_EXTENSION_NAME) == 0) { // MoltenVK
      extensions.push_back(VK_KHR_PORTABILITY_ENUMERATION_EXTENSION_NAME);
      info.flags |= VK_INSTANCE_CREATE_ENUMERATE_PORTABILITY_BIT_KHR;
    }
  VkDebugUtilsMessengerCreateInfoEXT messages = {};
  messages.sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT;
  messages.messageSeverity =
      VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT;
  messages.messageType =
      VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_TYPE_PERFORMANCE_BIT_EXT;
  messages.pfnUserCallback = onMessage;
  VkValidationFeatureEnableEXT enabled = VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT;
  VkValidationFeaturesEXT validation = {};
  validation.sType = VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT;
  validation.enabledValidationFeatureCount = 1;
  validation.pEnabledValidationFeatures = &enabled;
  if (message_handler) {
    layers.push_back("VK_LAYER_KHRONOS_validation");
    extensions.push_back(VK_EXT_DEBUG_UTILS_EXTENSION_NAME);
    messages.pNext = &validation;
    info.pNext = &messages; // also receives messages of instance creation and destruction
  }
  info.enabledExtensionCount = static_cast<uint32_t>(extensions.size());
  info.ppEnabledExtensionNames = extensions.data();
  info.enabledLayerCount = static_cast<uint32_t>(layers.size());
  info.ppEnabledLayerNames = layers.data();
  const VkResult started = api.CreateInstance(&info, nullptr, &instance);
  if (started == VK_ERROR_OUT_OF_HOST_MEMORY || started == VK_ERROR_INCOMPATIBLE_DRIVER ||
      started == VK_ERROR_INITIALIZATION_FAILED)
    return startError(started);
  LINNET_TRY(check(started, "cannot start"));
  LINNET_TRY(api.bindInstance(instance));
  if (!message_handler) return {};
  messages.pNext = nullptr;
  auto create = reinterpret_cast<PFN_vkCreateDebugUtilsMessengerEXT>(
      api.GetInstanceProcAddr(instance, "vkCreateDebugUtilsMessengerEXT"));
  VkDebugUtilsMessengerEXT made = nullptr;
  if (create) LINNET_TRY(check(create(instance, &messages, nullptr, &made), "cannot listen to layers"));
  messenger = made;
  return {};
}

Result<void> Instance::look() {
  uint32_t count = 0;
  const VkResult listed = api.EnumeratePhysicalDevices(instance, &count, nullptr);
  // For drivers without hardware, the loader returns an error or an empty list.
  if (listed == VK_ERROR_INITIALIZATION_FAILED || (listed == VK_SUCCESS && count == 0))
    return noDeviceError();
  LINNET_TRY(check(listed, "cannot list devices"));
  std::vector<VkPhysicalDevice> handles(count);
  LINNET_TRY(check(api.EnumeratePhysicalDevices(instance, &count, handles.data()), "cannot list devices"));
  std::string profile = emulated_profile;
  if (const char *named = std::getenv("LINNET_EMULATE_LIMITS"); profile.empty() && named) profile = named;
  std::string text;
  if (!profile.empty()) {
    LINNET_ASSIGN(text, readTextFile(profile));
  }
  for (VkPhysicalDevice handle : handles) {
    found.push_back({handle, readInventory(api, instance, handle)});
    if (!profile.empty()) LINNET_TRY(emulate(found.back().inventory, text, profile));
  }
  return {};
}

Instance::~Instance() {
  if (messenger)
    if (auto destroy = reinterpret_cast<PFN_vkDestroyDebugUtilsMessengerEXT>(
            api.GetInstanceProcAddr(instance, "vkDestroyDebugUtilsMessengerEXT")))
      destroy(instance, static_cast<VkDebugUtilsMessengerEXT>(messenger), nullptr);
  if (instance && api.DestroyInstance) api.DestroyInstance(instance, nullptr);
}

Result<size_t> chooseDevice(std::span<const Inventory> devices, const std::string &argument) {
  std::string list;
  for (size_t i = 0; i < devices.size(); ++i)
    list += fmt::format("{}{} {} ({})", i ? ", " : "", i, devices[i].name, kindName(devices[i].kind));
  if (devices.empty()) return Error{"no Vulkan device: the loader knows no driver that has one"};
  auto usable = [&](size_t i) -> Result<size_t> {
    std::string why = devices[i].refusal();
    if (why.empty()) return i;
    return errorf("Vulkan device {} ({}) cannot be used: {}", i, devices[i].name, why);
  };
  if (!argument.empty() && argument.size() < 6 &&
      argument.find_first_not_of("0123456789") == std::string::npos) {
    size_t number = std::stoul(argument);
    if (number < devices.size()) return usable(number);
    return errorf("no Vulkan device {}, there are: {}", number, list);
  }
  std::optional<size_t> best;
  bool named = false;
  for (size_t i = 0; i < devices.size(); ++i) {
    if (lowered(devices[i].name).find(lowered(argument)) == std::string::npos) continue;
    named = true;
    if (devices[i].refusal().empty() && (!best || rank(devices[i]) < rank(devices[*best]))) best = i;
  }
  if (best) return *best;
  if (!named) return errorf("no Vulkan device is called '{}', there are: {}", argument, list);
  return errorf("no Vulkan device can be used, there are: {}", list);
}

} // namespace linnet::vulkan
