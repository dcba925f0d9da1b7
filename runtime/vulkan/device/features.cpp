#include "runtime/vulkan/device/features.h"

#include <algorithm>
#include <cstdio>

namespace linnet::vulkan {

FeatureChain::FeatureChain(uint32_t api, const std::set<std::string> &extensions) {
  void **tail = &core.pNext;
  // A structure may be chained if the version includes it, or if the extension exists, which is then enabled.
  auto chain = [&](auto &structure, uint32_t since, const char *extension) {
    if (api < since) {
      if (!extensions.count(extension)) return;
      needed.push_back(extension);
    }
    *tail = &structure;
    tail = &structure.pNext;
  };
  chain(storage16, VK_API_VERSION_1_1, VK_KHR_16BIT_STORAGE_EXTENSION_NAME);
  chain(storage8, VK_API_VERSION_1_2, VK_KHR_8BIT_STORAGE_EXTENSION_NAME);
  chain(half, VK_API_VERSION_1_2, VK_KHR_SHADER_FLOAT16_INT8_EXTENSION_NAME);
  chain(memory_model, VK_API_VERSION_1_2, VK_KHR_VULKAN_MEMORY_MODEL_EXTENSION_NAME);
  chain(dot, VK_API_VERSION_1_3, VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME);
  chain(size_control, VK_API_VERSION_1_3, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME);
  chain(matrix, ~0u, VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME);
}

void FeatureChain::reduce() {
  VkPhysicalDeviceFeatures used = {};
  used.shaderInt16 = core.features.shaderInt16;
  used.shaderInt64 = core.features.shaderInt64;
  core.features = used;
  storage16.storagePushConstant16 = storage16.storageInputOutput16 = 0;
  storage8.storagePushConstant8 = 0;
  matrix.cooperativeMatrixRobustBufferAccess = 0;
}

std::array<FeatureChain::Named, 8> FeatureChain::table() const {
  return {{{core.features.shaderInt16, "shader_int16"},
           {core.features.shaderInt64, "shader_int64"},
           {storage16.storageBuffer16BitAccess, "storage_16bit"},
           {storage8.storageBuffer8BitAccess, "storage_8bit"},
           {half.shaderFloat16, "shader_float16"},
           {half.shaderInt8, "shader_int8"},
           {memory_model.vulkanMemoryModel, "vulkan_memory_model"},
           {dot.shaderIntegerDotProduct, "integer_dot_product"}}};
}

std::set<std::string> FeatureChain::names() const {
  std::set<std::string> names;
  for (auto [there, name] : table())
    if (there) names.insert(name);
  return names;
}

std::vector<std::string> featureNames() {
  std::vector<std::string> names = {"cpu", "gpu"};
  for (auto [bit, name] : kSubgroupFeatures) names.push_back(name);
  for (auto [there, name] : FeatureChain(VK_API_VERSION_1_3, {}).table()) names.push_back(name);
  return names;
}

bool isFeatureName(const std::string &name) {
  const std::vector<std::string> names = featureNames();
  if (std::find(names.begin(), names.end(), name) != names.end()) return true;
  unsigned m, n, k;
  char a[4], c[4];
  int end = 0; // length of the matched text
  std::sscanf(name.c_str(), "cooperative_matrix/%ux%ux%u/%3[fi0-9]/%3[fi0-9]%n", &m, &n, &k, a, c, &end);
  return end > 0 && static_cast<size_t>(end) == name.size();
}

} // namespace linnet::vulkan
