// Checks the commands that a recording of a profiled run gives the device, and their order.
#include "runtime/vulkan/execute/executable.h"
#include "runtime/vulkan/vulkan_device.h"
#include "tests/catch.h"
#include "tests/vulkan/toy_artifact.h"

#include <string>

using namespace fixtures;
using namespace linnet::vulkan;

namespace {

/// Calls of the recorder, in order: "barrier", "dispatch", "stamp STAGE".
std::vector<std::string> calls;
Api real;

void VKAPI_CALL noteStamp(VkCommandBuffer commands, VkPipelineStageFlagBits stage, VkQueryPool pool,
                          uint32_t query) {
  calls.push_back(stage == VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT   ? "stamp behind shaders"
                  : stage == VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT ? "stamp at the end"
                                                                  : "stamp elsewhere");
  real.CmdWriteTimestamp(commands, stage, pool, query);
}
void VKAPI_CALL noteDispatch(VkCommandBuffer commands, uint32_t x, uint32_t y, uint32_t z) {
  calls.push_back("dispatch");
  real.CmdDispatch(commands, x, y, z);
}
void VKAPI_CALL noteBarrier(VkCommandBuffer commands, VkPipelineStageFlags from, VkPipelineStageFlags to,
                            VkDependencyFlags flags, uint32_t memories, const VkMemoryBarrier *memory,
                            uint32_t buffers, const VkBufferMemoryBarrier *buffer, uint32_t images,
                            const VkImageMemoryBarrier *image) {
  calls.push_back("barrier");
  real.CmdPipelineBarrier(commands, from, to, flags, memories, memory, buffers, buffer, images, image);
}

} // namespace

TEST_CASE("a command's time begins behind its barrier and the work before, and is its own") {
  TemporaryDirectory directory;
  setenv("LINNET_CACHE_DIR", (directory / "cache").c_str(), 1);
  write(directory / "a.linnet");
  const Artifact artifact = opened(directory / "a.linnet");
  auto instance = Instance::create();
  REQUIRE(instance.ok());
  auto context = Context::open(*instance, 0);
  REQUIRE(context.ok());
  auto made = VulkanExecutable::load(*context, artifact, *artifact.program("vulkan"));
  REQUIRE(made.ok());
  Api &api = (*context)->api;
  real = api;
  api.CmdWriteTimestamp = noteStamp, api.CmdDispatch = noteDispatch, api.CmdPipelineBarrier = noteBarrier;
  auto profiler = std::make_shared<linnet::Profiler>();
  (*made)->setProfiler(profiler);
  std::vector<float> x(8);
  std::vector<std::span<const std::byte>> in = {std::as_bytes(std::span(x))};
  calls.clear();
  REQUIRE((*made)->run(0, std::vector<int64_t>{1}, in, {}).ok());
  const std::string begin = "stamp behind shaders", end = "stamp at the end";
  CHECK(calls == std::vector<std::string>{"barrier", // behind what was submitted before
                                          begin, "dispatch", end, "barrier", begin, "dispatch", end, begin,
                                          "dispatch", end, begin, "dispatch", end, "barrier"});
  const auto &events = profiler->profile().events;
  REQUIRE(events.size() == 4);
  for (size_t i = 0; i < events.size(); ++i) {
    CHECK(events[i].begin <= events[i].end);
    if (i) CHECK(events[i - 1].end <= events[i].begin);
  }
}
