#include "runtime/vulkan/execute/pipelines.h"
#include "runtime/vulkan/device/device_file.h"
#include "runtime/vulkan/device/fault.h"
#include "support/error.h"

#include <algorithm>
#include <cstdlib>

namespace linnet::vulkan {
namespace {

/// The effect of an injected fault: changed words, or a failure.
struct Faulty {
  std::vector<uint32_t> words;
  bool refused = false;
};
Faulty faulty(const fb::Shader &shader, std::span<const std::byte> words) {
  switch (faultOf(shader.name()->string_view())) {
  case Fault::crashes:
    std::abort();
  case Fault::refused:
    return {{}, true};
  case Fault::wrong:
    return {madeWrong(words), false};
  default:
    return {};
  }
}

} // namespace

VkDescriptorType bindingType(const fb::Shader &shader, uint32_t binding) {
  return shader.texels() && shader.texels()->Get(binding) ? VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER
                                                          : VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
}

Pipelines::~Pipelines() {
  for (auto &[shader, pipeline] : made)
    context->api.DestroyPipeline(context->device, pipeline.handle, nullptr);
  for (auto &[key, layout] : layouts) {
    context->api.DestroyPipelineLayout(context->device, layout.layout, nullptr);
    context->api.DestroyDescriptorSetLayout(context->device, layout.sets, nullptr);
  }
}

Result<void> Pipelines::layOut(uint32_t number, Pipeline &pipeline) {
  const fb::Shader &shader = *program.shaders()->Get(number);
  std::vector<VkDescriptorType> types;
  for (uint32_t i = 0; i < shader.bindings(); ++i) types.push_back(bindingType(shader, i));
  auto [found, fresh] = layouts.try_emplace({shader.push_words(), types});
  Pipeline &layout = found->second;
  if (fresh) {
    std::vector<VkDescriptorSetLayoutBinding> bindings(shader.bindings());
    for (uint32_t i = 0; i < bindings.size(); ++i)
      bindings[i] = {i, types[i], 1, VK_SHADER_STAGE_COMPUTE_BIT, nullptr};
    VkDescriptorSetLayoutCreateInfo set = {};
    set.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO;
    set.bindingCount = shader.bindings();
    set.pBindings = bindings.data();
    LINNET_TRY(check(context->api.CreateDescriptorSetLayout(context->device, &set, nullptr, &layout.sets),
                     "cannot make a descriptor layout"));
    VkPushConstantRange push{VK_SHADER_STAGE_COMPUTE_BIT, 0, shader.push_words() * 4};
    VkPipelineLayoutCreateInfo info = {};
    info.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO;
    info.setLayoutCount = kDescriptorSets;
    info.pSetLayouts = &layout.sets;
    info.pushConstantRangeCount = shader.push_words() ? 1 : 0;
    info.pPushConstantRanges = &push;
    LINNET_TRY(check(context->api.CreatePipelineLayout(context->device, &info, nullptr, &layout.layout),
                     "cannot make a pipeline layout"));
  }
  pipeline = layout;
  return {};
}

PipelineFailure Pipelines::compile(uint32_t number, Pipeline &pipeline, VkPipelineCache cache) const {
  const fb::Shader &shader = *program.shaders()->Get(number);
  std::string what = fmt::format("cannot compile shader '{}'", shader.name()->string_view());
  auto words = artifact.blob(*shader.words());
  const Faulty fault = faulty(shader, words);
  if (fault.refused) return {VK_ERROR_UNKNOWN, what + ": refused on purpose"};
  if (!fault.words.empty()) words = std::as_bytes(std::span(fault.words));
  VkShaderModuleCreateInfo code = {};
  code.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO;
  code.codeSize = words.size();
  code.pCode = reinterpret_cast<const uint32_t *>(words.data());
  VkShaderModule module = nullptr;
  VkResult result = context->api.CreateShaderModule(context->device, &code, nullptr, &module);
  if (result != VK_SUCCESS) return {result, check(result, what).error().message};
  VkPipelineShaderStageRequiredSubgroupSizeCreateInfo size = {};
  size.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO;
  size.requiredSubgroupSize =
      demandedSubgroup(context->inventory.limits, shader.subgroup_min(), shader.subgroup_max());
  VkComputePipelineCreateInfo info = {};
  info.sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO;
  info.stage.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO;
  info.stage.stage = VK_SHADER_STAGE_COMPUTE_BIT;
  info.stage.module = module;
  info.stage.pName = "main";
  if (size.requiredSubgroupSize) info.stage.pNext = &size;
  info.layout = pipeline.layout;
  result = context->api.CreateComputePipelines(context->device, cache, 1, &info, nullptr, &pipeline.handle);
  context->api.DestroyShaderModule(context->device, module, nullptr);
  if (result == VK_SUCCESS) return {};
  pipeline.handle = nullptr;
  // A positive result is not a success either: there is no pipeline.
  return {result, result < 0 ? check(result, what).error().message : what};
}

Result<void> Pipelines::make(std::span<const uint32_t> shaders) {
  LINNET_ASSIGN(PipelineFailures failures, attempt(shaders));
  for (const auto &[shader, failure] : failures) return Error{failure.message};
  return {};
}

Result<PipelineFailures> Pipelines::attempt(std::span<const uint32_t> shaders) {
  std::vector<uint32_t> missing;
  for (uint32_t shader : shaders)
    if (!made.count(shader)) missing.push_back(shader);
  std::sort(missing.begin(), missing.end());
  missing.erase(std::unique(missing.begin(), missing.end()), missing.end());
  if (missing.empty()) return PipelineFailures();
  DeviceFile file(context->inventory, "pipelines");
  auto before = file.data();
  VkPipelineCacheCreateInfo info = {};
  info.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO;
  info.initialDataSize = before.size();
  info.pInitialData = before.data();
  VkPipelineCache cache = nullptr;
  LINNET_TRY(check(context->api.CreatePipelineCache(context->device, &info, nullptr, &cache),
                   "cannot make a pipeline cache"));
  std::vector<Pipeline> pipelines(missing.size());
  std::vector<PipelineFailure> failed(missing.size());
  Result<void> result;
  for (size_t i = 0; i < missing.size() && result; ++i) result = layOut(missing[i], pipelines[i]);
  if (result) {
#pragma omp parallel for schedule(dynamic)
    for (size_t i = 0; i < missing.size(); ++i) failed[i] = compile(missing[i], pipelines[i], cache);
  }
  PipelineFailures failures;
  for (size_t i = 0; i < missing.size(); ++i) {
    if (pipelines[i].handle) made.emplace(missing[i], pipelines[i]);
    if (!failed[i].message.empty()) failures.emplace(missing[i], failed[i]);
  }
  // Errors are ignored: without a cache the next start only takes longer.
  size_t bytes = 0;
  if (result && context->api.GetPipelineCacheData(context->device, cache, &bytes, nullptr) == VK_SUCCESS &&
      bytes > before.size()) {
    std::vector<std::byte> data(bytes);
    if (context->api.GetPipelineCacheData(context->device, cache, &bytes, data.data()) == VK_SUCCESS)
      (void)file.write(std::span(data).first(bytes));
  }
  context->api.DestroyPipelineCache(context->device, cache, nullptr);
  if (!result) return result.error();
  return failures;
}

} // namespace linnet::vulkan
