#include "runtime/vulkan/execute/recording.h"
#include "support/error.h"

#include <algorithm>

namespace linnet::vulkan {

Recording::~Recording() {
  const Api &api = context->api;
  if (commands) api.FreeCommandBuffers(context->device, context->commands, 1, &commands);
  if (pool) api.DestroyDescriptorPool(context->device, pool, nullptr);
  for (VkBufferView view : views) api.DestroyBufferView(context->device, view, nullptr);
  if (queries) api.DestroyQueryPool(context->device, queries, nullptr);
}

Result<VkBufferView> Recording::view(const Range &range, uint32_t words, const Buffers &buffers) {
  VkBufferViewCreateInfo info = {};
  info.sType = VK_STRUCTURE_TYPE_BUFFER_VIEW_CREATE_INFO;
  info.buffer = buffers[range.buffer].handle;
  info.format = words == 4   ? VK_FORMAT_R32G32B32A32_UINT
                : words == 2 ? VK_FORMAT_R32G32_UINT
                             : VK_FORMAT_R32_UINT;
  info.offset = range.offset;
  info.range = range.size;
  VkBufferView made = nullptr;
  LINNET_TRY(check(context->api.CreateBufferView(context->device, &info, nullptr, &made),
                   "cannot make a view of texels"));
  views.push_back(made);
  return made;
}

Result<void> Recording::makeSets(std::span<const Part *const> parts, const Pipelines &pipelines,
                                 const fb::Program &program, const Buffers &buffers,
                                 std::vector<VkDescriptorSet> &sets) {
  if (parts.empty()) return {};
  const Api &api = context->api;
  std::vector<VkDescriptorSetLayout> layouts;
  std::vector<VkDescriptorBufferInfo> infos;
  std::vector<VkBufferView> texels; // a view for each binding; null for a storage buffer
  std::vector<VkWriteDescriptorSet> writes;
  uint32_t of_texels = 0;
  for (const Part *part : parts) {
    layouts.push_back(pipelines[part->step->shader()].sets);
    const fb::Shader &shader = *program.shaders()->Get(part->step->shader());
    for (uint32_t i = 0; i < part->bindings.size(); ++i) {
      const Range &range = part->bindings[i];
      infos.push_back({buffers[range.buffer].handle, range.offset, range.size});
      texels.push_back(nullptr);
      if (bindingType(shader, i) != VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER) continue;
      LINNET_ASSIGN(texels.back(), view(range, shader.texels()->Get(i), buffers));
      ++of_texels;
    }
  }
  VkDescriptorPoolSize sizes[] = {
      {VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, std::max(1u, static_cast<uint32_t>(infos.size()) - of_texels)},
      {VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER, std::max(1u, of_texels)}};
  VkDescriptorPoolCreateInfo info = {};
  info.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO;
  info.maxSets = static_cast<uint32_t>(parts.size());
  info.poolSizeCount = 2;
  info.pPoolSizes = sizes;
  LINNET_TRY(check(api.CreateDescriptorPool(context->device, &info, nullptr, &pool),
                   "cannot make a descriptor pool"));
  VkDescriptorSetAllocateInfo allocate = {};
  allocate.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO;
  allocate.descriptorPool = pool;
  allocate.descriptorSetCount = info.maxSets;
  allocate.pSetLayouts = layouts.data();
  sets.resize(parts.size());
  LINNET_TRY(
      check(api.AllocateDescriptorSets(context->device, &allocate, sets.data()), "cannot make descriptors"));
  size_t next = 0;
  for (size_t i = 0; i < parts.size(); ++i)
    for (uint32_t binding = 0; binding < parts[i]->bindings.size(); ++binding, ++next) {
      VkWriteDescriptorSet write = {};
      write.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET;
      write.dstSet = sets[i];
      write.dstBinding = binding;
      write.descriptorCount = 1;
      write.descriptorType =
          texels[next] ? VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER : VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
      write.pBufferInfo = &infos[next];
      write.pTexelBufferView = &texels[next];
      writes.push_back(write);
    }
  api.UpdateDescriptorSets(context->device, static_cast<uint32_t>(writes.size()), writes.data(), 0, nullptr);
  return {};
}

void Recording::barrier(VkPipelineStageFlags to, VkAccessFlags access) {
  VkMemoryBarrier memory = {};
  memory.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER;
  memory.srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT;
  memory.dstAccessMask = access;
  context->api.CmdPipelineBarrier(commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, to, 0, 1, &memory, 0,
                                  nullptr, 0, nullptr);
}

Result<void> Recording::record(std::span<const PlannedDispatch> planned, const Pipelines &pipelines,
                               const fb::Program &program, const Buffers &buffers, bool timed,
                               RecordingCounts &counts) {
  const Api &api = context->api;
  std::vector<const Part *> parts;
  for (const PlannedDispatch &dispatch : planned) {
    choices.push_back(dispatch.choice);
    skipped.push_back(dispatch.steps.empty());
    for (const PlannedStep &step : dispatch.steps)
      for (const Part &part : step.parts) parts.push_back(&part);
  }
  std::vector<VkDescriptorSet> sets;
  LINNET_TRY(makeSets(parts, pipelines, program, buffers, sets));
  ++counts.recordings;
  counts.descriptor_sets += sets.size();
  LINNET_ASSIGN(commands, context->newCommands());
  VkCommandBufferBeginInfo recorded = {};
  recorded.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO;
  recorded.flags = VK_COMMAND_BUFFER_USAGE_SIMULTANEOUS_USE_BIT; // a loop submits it several times at once
  LINNET_TRY(check(api.BeginCommandBuffer(commands, &recorded), "cannot record"));
  auto stamps = static_cast<uint32_t>(2 * planned.size());
  if (timed && stamps) {
    VkQueryPoolCreateInfo info = {};
    info.sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO;
    info.queryType = VK_QUERY_TYPE_TIMESTAMP;
    info.queryCount = stamps;
    LINNET_TRY(
        check(api.CreateQueryPool(context->device, &info, nullptr, &queries), "cannot make time stamps"));
    api.CmdResetQueryPool(commands, queries, 0, stamps);
  }
  constexpr VkAccessFlags kShader = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT;
  barrier(VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, kShader); // after earlier submissions
  Hazards hazards;
  VkPipeline bound = nullptr;
  size_t number = 0;
  uint32_t stamp = 0;
  for (const PlannedDispatch &dispatch : planned) {
    // After the barrier, when all earlier work has left the shader stage, so that the time is that of this
    // command only.
    bool begun = false;
    auto begin = [&] {
      if (queries && !begun)
        api.CmdWriteTimestamp(commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, queries, stamp++);
      begun = true;
    };
    for (const PlannedStep &step : dispatch.steps) {
      if (step.parts.empty()) continue;
      if (hazards.before(step.touches)) {
        barrier(VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, kShader);
        ++barriers;
      }
      begin();
      const Pipeline &pipeline = pipelines[step.step->shader()];
      if (pipeline.handle != bound)
        api.CmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, bound = pipeline.handle);
      for (const Part &part : step.parts) {
        api.CmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline.layout, 0, 1,
                                  &sets[number++], 0, nullptr);
        if (!part.push.empty())
          api.CmdPushConstants(commands, pipeline.layout, VK_SHADER_STAGE_COMPUTE_BIT, 0,
                               static_cast<uint32_t>(part.push.size() * 4), part.push.data());
        api.CmdDispatch(commands, part.groups[0], part.groups[1], part.groups[2]);
        ++dispatches;
      }
    }
    begin();
    if (queries) api.CmdWriteTimestamp(commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, queries, stamp++);
  }
  barrier(VK_PIPELINE_STAGE_HOST_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
          VK_ACCESS_HOST_READ_BIT | VK_ACCESS_TRANSFER_READ_BIT);
  return check(api.EndCommandBuffer(commands), "cannot record");
}

Result<std::vector<uint64_t>> Recording::stamps() const {
  std::vector<uint64_t> ticks(queries ? 2 * choices.size() : 0);
  if (ticks.empty()) return ticks;
  LINNET_TRY(
      check(context->api.GetQueryPoolResults(context->device, queries, 0, static_cast<uint32_t>(ticks.size()),
                                             ticks.size() * 8, ticks.data(), 8, VK_QUERY_RESULT_64_BIT),
            "cannot read time stamps"));
  return ticks;
}

} // namespace linnet::vulkan
