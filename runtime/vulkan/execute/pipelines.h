// The compute pipelines of a program. They are compiled in parallel and cached on disk.
#pragma once
#include "runtime/artifact/artifact.h"
#include "runtime/vulkan/device/context.h"
#include "runtime/vulkan/execute/plan.h"

#include <map>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace linnet::vulkan {

struct Pipeline {
  VkPipeline handle = nullptr;
  VkPipelineLayout layout = nullptr;
  VkDescriptorSetLayout sets = nullptr;
};

/// Why a pipeline could not be created. The message is empty if it could.
struct PipelineFailure {
  VkResult code = VK_SUCCESS;
  std::string message;
};
using PipelineFailures = std::map<uint32_t, PipelineFailure>;

class Pipelines {
public:
  Pipelines(std::shared_ptr<Context> context, const Artifact &artifact, const fb::Program &program)
      : context(std::move(context)), artifact(artifact), program(program) {}
  Pipelines(const Pipelines &) = delete;
  ~Pipelines();

  /// Creates the missing pipelines of `shaders`. Uses the cache file, and writes it if it has grown.
  Result<void> make(std::span<const uint32_t> shaders);
  /// The same, but returns the failures of shaders that do not compile instead of an error.
  Result<PipelineFailures> attempt(std::span<const uint32_t> shaders);
  const Pipeline &operator[](uint32_t shader) const { return made.at(shader); }

private:
  Result<void> layOut(uint32_t shader, Pipeline &pipeline);
  PipelineFailure compile(uint32_t shader, Pipeline &pipeline, VkPipelineCache cache) const;

  std::shared_ptr<Context> context;
  const Artifact &artifact;
  const fb::Program &program;
  std::map<std::pair<uint32_t, std::vector<VkDescriptorType>>, Pipeline>
      layouts; // by push words and bindings
  std::map<uint32_t, Pipeline> made;
};

VkDescriptorType bindingType(const fb::Shader &shader, uint32_t binding);

} // namespace linnet::vulkan
