// The chain of Vulkan's feature structures that a device supports. The same chain queries and enables
// features.
#pragma once
#include "runtime/vulkan/device/api.h"

#include <array>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace linnet::vulkan {

/// Subgroup operations with their names in docs/artifact-format.md.
inline constexpr std::pair<VkSubgroupFeatureFlagBits, const char *> kSubgroupFeatures[] = {
    {VK_SUBGROUP_FEATURE_BASIC_BIT, "subgroup_basic"},
    {VK_SUBGROUP_FEATURE_VOTE_BIT, "subgroup_vote"},
    {VK_SUBGROUP_FEATURE_ARITHMETIC_BIT, "subgroup_arithmetic"},
    {VK_SUBGROUP_FEATURE_BALLOT_BIT, "subgroup_ballot"},
    {VK_SUBGROUP_FEATURE_SHUFFLE_BIT, "subgroup_shuffle"},
    {VK_SUBGROUP_FEATURE_SHUFFLE_RELATIVE_BIT, "subgroup_shuffle_relative"},
    {VK_SUBGROUP_FEATURE_CLUSTERED_BIT, "subgroup_clustered"},
    {VK_SUBGROUP_FEATURE_QUAD_BIT, "subgroup_quad"}};

/// All feature names except those of cooperative matrices, which contain sizes.
std::vector<std::string> featureNames();
/// Whether `name` is one of featureNames() or of a cooperative matrix.
bool isFeatureName(const std::string &name);

class FeatureChain {
public:
  /// `api` is the device's Vulkan version, `extensions` are those that it offers.
  FeatureChain(uint32_t api, const std::set<std::string> &extensions);
  FeatureChain(const FeatureChain &) = delete;
  VkPhysicalDeviceFeatures2 *head() { return &core; }
  /// Disables the features that Linnet does not use.
  void reduce();
  /// Names of the features as in docs/artifact-format.md, after vkGetPhysicalDeviceFeatures2.
  std::set<std::string> names() const;
  using Named = std::pair<VkBool32, const char *>;
  /// Every name, and whether the device has the feature.
  std::array<Named, 8> table() const;
  /// Extensions that the chained structures need.
  const std::vector<const char *> &extensions() const { return needed; }

  VkPhysicalDeviceFeatures2 core = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, nullptr, {}};
  VkPhysicalDevice16BitStorageFeatures storage16 = {
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES, nullptr, 0, 0, 0, 0};
  VkPhysicalDevice8BitStorageFeatures storage8 = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_8BIT_STORAGE_FEATURES,
                                                  nullptr, 0, 0, 0};
  VkPhysicalDeviceShaderFloat16Int8Features half = {
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES, nullptr, 0, 0};
  VkPhysicalDeviceVulkanMemoryModelFeatures memory_model = {
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_MEMORY_MODEL_FEATURES, nullptr, 0, 0, 0};
  VkPhysicalDeviceShaderIntegerDotProductFeatures dot = {
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES, nullptr, 0};
  VkPhysicalDeviceSubgroupSizeControlFeatures size_control = {
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES, nullptr, 0, 0};
  VkPhysicalDeviceCooperativeMatrixFeaturesKHR matrix = {
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR, nullptr, 0, 0};

private:
  std::vector<const char *> needed;
};

} // namespace linnet::vulkan
