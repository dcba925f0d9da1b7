// Compute pipelines of a program: made in parallel, kept in a cache on disk.
#pragma once
#include "runtime/artifact.h"
#include "runtime/vulkan/context.h"

#include <map>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace linnet::vulkan {

/// A shader with the values of its specialization constants.
struct PipelineKey {
  uint32_t shader = 0;
  std::vector<uint32_t> constants;
  auto operator<=>(const PipelineKey &) const = default;
};
PipelineKey keyOf(const fb::Step &step);

struct Pipeline {
  VkPipeline handle = nullptr;
  VkPipelineLayout layout = nullptr;
  VkDescriptorSetLayout sets = nullptr;
};

class Pipelines {
public:
  Pipelines(std::shared_ptr<Context> context, const Artifact &artifact, const fb::Program &program)
      : context(std::move(context)), artifact(artifact), program(program) {}
  Pipelines(const Pipelines &) = delete;
  ~Pipelines();

  /// Makes those of `keys` that there are not, with the cache file's help, and writes the file if it has
  /// grown.
  Result<void> make(std::span<const PipelineKey> keys);
  const Pipeline &operator[](const PipelineKey &key) const { return made.at(key); }

private:
  Result<void> layOut(uint32_t shader, Pipeline &pipeline);
  Result<VkPipeline> compile(const PipelineKey &key, const Pipeline &pipeline, VkPipelineCache cache) const;

  std::shared_ptr<Context> context;
  const Artifact &artifact;
  const fb::Program &program;
  std::map<std::pair<uint32_t, std::vector<VkDescriptorType>>, Pipeline>
      layouts; // by push words and bindings
  std::map<PipelineKey, Pipeline> made;
};

VkDescriptorType bindingType(const fb::Shader &shader, uint32_t binding);

/// Where drivers' compiled pipelines are kept: LINNET_CACHE_DIR, or linnet under XDG_CACHE_HOME or ~/.cache;
/// "" where there is none.
std::string cacheDirectory();

} // namespace linnet::vulkan
