#include "runtime/vulkan/pipelines.h"
#include "runtime/format.h"
#include "support/error.h"
#include "support/file.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>

namespace linnet::vulkan {
namespace {

// What stands before a driver's cache data. Drivers check their own header; some crash on what lies behind
// it, so the bytes are hashed.
struct CacheHeader {
  char magic[8] = {'L', 'N', 'T', 'P', 'I', 'P', 'E', '1'};
  uint32_t vendor = 0, device = 0, driver_version = 0, api = 0;
  uint8_t uuid[16] = {};
  uint64_t bytes = 0, hash = 0;
};

CacheHeader headerFor(const Inventory &inventory, std::span<const std::byte> data) {
  CacheHeader header;
  header.vendor = inventory.vendor, header.device = inventory.device;
  header.driver_version = inventory.driver_version, header.api = inventory.api;
  std::copy(inventory.cache_uuid.begin(), inventory.cache_uuid.end(), header.uuid);
  header.bytes = data.size();
  header.hash = format::hashBytes(data);
  return header;
}

std::string cachePath(const Inventory &inventory) {
  std::string directory = cacheDirectory(), name;
  if (directory.empty()) return "";
  for (uint8_t byte : inventory.cache_uuid) name += fmt::format("{:02x}", byte);
  return fmt::format("{}/vulkan/{:x}-{:x}-{}.pipelines", directory, inventory.vendor, inventory.device, name);
}

// Nothing where the file is missing, another device's or driver's, or damaged: it is then made anew.
std::span<const std::byte> usable(const MappedFile &file, const Inventory &inventory) {
  auto bytes = file.bytes();
  if (bytes.size() < sizeof(CacheHeader)) return {};
  auto data = bytes.subspan(sizeof(CacheHeader));
  CacheHeader expected = headerFor(inventory, data);
  return std::memcmp(bytes.data(), &expected, sizeof expected) == 0 ? data : std::span<const std::byte>();
}

// A cache that cannot be written costs time at the next start and nothing else.
Result<void> save(const std::string &path, const Inventory &inventory, std::span<const std::byte> data) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  if (error) return errorf("{}: {}", path, error.message());
  LINNET_ASSIGN(AtomicFile file, AtomicFile::create(path));
  CacheHeader header = headerFor(inventory, data);
  LINNET_TRY(file.write(std::as_bytes(std::span(&header, 1))));
  LINNET_TRY(file.write(data));
  return file.commit();
}

} // namespace

std::string cacheDirectory() {
  auto variable = [](const char *name) -> std::string {
    const char *value = std::getenv(name);
    return value ? value : "";
  };
  if (std::string chosen = variable("LINNET_CACHE_DIR"); !chosen.empty()) return chosen;
  if (std::string cache = variable("XDG_CACHE_HOME"); !cache.empty()) return cache + "/linnet";
  if (std::string home = variable("HOME"); !home.empty()) return home + "/.cache/linnet";
  return "";
}

PipelineKey keyOf(const fb::Step &step) {
  return {step.shader(), {step.constants()->begin(), step.constants()->end()}};
}

VkDescriptorType bindingType(const fb::Shader &shader, uint32_t binding) {
  return shader.texels() && shader.texels()->Get(binding) ? VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER
                                                          : VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
}

Pipelines::~Pipelines() {
  for (auto &[key, pipeline] : made) context->api.DestroyPipeline(context->device, pipeline.handle, nullptr);
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
    info.setLayoutCount = 1;
    info.pSetLayouts = &layout.sets;
    info.pushConstantRangeCount = shader.push_words() ? 1 : 0;
    info.pPushConstantRanges = &push;
    LINNET_TRY(check(context->api.CreatePipelineLayout(context->device, &info, nullptr, &layout.layout),
                     "cannot make a pipeline layout"));
  }
  pipeline = layout;
  return {};
}

Result<VkPipeline> Pipelines::compile(const PipelineKey &key, const Pipeline &pipeline,
                                      VkPipelineCache cache) const {
  const fb::Shader &shader = *program.shaders()->Get(key.shader);
  const Limits &limits = context->inventory.limits;
  auto words = artifact.blob(*shader.words());
  VkShaderModuleCreateInfo code = {};
  code.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO;
  code.codeSize = words.size();
  code.pCode = reinterpret_cast<const uint32_t *>(words.data());
  std::string what = fmt::format("cannot compile shader '{}'", shader.name()->string_view());
  VkShaderModule module = nullptr;
  LINNET_TRY(check(context->api.CreateShaderModule(context->device, &code, nullptr, &module), what));
  std::vector<VkSpecializationMapEntry> entries;
  for (uint32_t i = 0; i < key.constants.size(); ++i) entries.push_back({i, i * 4, 4});
  VkSpecializationInfo constants{static_cast<uint32_t>(entries.size()), entries.data(), entries.size() * 4,
                                 key.constants.data()};
  VkPipelineShaderStageRequiredSubgroupSizeCreateInfo size = {};
  size.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO;
  size.requiredSubgroupSize = std::max(limits.subgroup_min, shader.subgroup_min());
  VkComputePipelineCreateInfo info = {};
  info.sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO;
  info.stage.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO;
  info.stage.stage = VK_SHADER_STAGE_COMPUTE_BIT;
  info.stage.module = module;
  info.stage.pName = "main";
  if (!entries.empty()) info.stage.pSpecializationInfo = &constants;
  bool fits = limits.subgroup >= shader.subgroup_min() && limits.subgroup <= shader.subgroup_max();
  if (shader.subgroup_max() && !fits) info.stage.pNext = &size;
  info.layout = pipeline.layout;
  VkPipeline handle = nullptr;
  auto result =
      check(context->api.CreateComputePipelines(context->device, cache, 1, &info, nullptr, &handle), what);
  context->api.DestroyShaderModule(context->device, module, nullptr);
  if (!result) return result.error();
  return handle;
}

Result<void> Pipelines::make(std::span<const PipelineKey> keys) {
  std::vector<PipelineKey> missing;
  for (const PipelineKey &key : keys)
    if (!made.count(key)) missing.push_back(key);
  std::sort(missing.begin(), missing.end());
  missing.erase(std::unique(missing.begin(), missing.end()), missing.end());
  if (missing.empty()) return {};
  std::string path = cachePath(context->inventory);
  MappedFile file;
  if (!path.empty() && fileExists(path))
    if (auto opened = MappedFile::open(path)) file = std::move(*opened);
  auto before = usable(file, context->inventory);
  VkPipelineCacheCreateInfo info = {};
  info.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO;
  info.initialDataSize = before.size();
  info.pInitialData = before.data();
  VkPipelineCache cache = nullptr;
  LINNET_TRY(check(context->api.CreatePipelineCache(context->device, &info, nullptr, &cache),
                   "cannot make a pipeline cache"));
  std::vector<Pipeline> pipelines(missing.size());
  std::vector<std::string> errors(missing.size());
  Result<void> result;
  for (size_t i = 0; i < missing.size() && result; ++i) result = layOut(missing[i].shader, pipelines[i]);
  if (result) {
#pragma omp parallel for schedule(dynamic)
    for (size_t i = 0; i < missing.size(); ++i) {
      auto compiled = compile(missing[i], pipelines[i], cache);
      if (compiled)
        pipelines[i].handle = *compiled;
      else
        errors[i] = compiled.error().message;
    }
  }
  for (size_t i = 0; i < missing.size(); ++i) {
    if (pipelines[i].handle) made.emplace(missing[i], pipelines[i]);
    if (result && !errors[i].empty()) result = Error{errors[i]};
  }
  size_t bytes = 0;
  if (result && !path.empty() &&
      context->api.GetPipelineCacheData(context->device, cache, &bytes, nullptr) == VK_SUCCESS &&
      bytes > before.size()) {
    std::vector<std::byte> data(bytes);
    if (context->api.GetPipelineCacheData(context->device, cache, &bytes, data.data()) == VK_SUCCESS)
      (void)save(path, context->inventory, std::span(data).first(bytes));
  }
  context->api.DestroyPipelineCache(context->device, cache, nullptr);
  return result;
}

} // namespace linnet::vulkan
