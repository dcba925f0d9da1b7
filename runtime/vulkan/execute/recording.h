// A recorded command buffer for an entry at certain values of its symbols. It is recorded once and submitted many
// times.
#pragma once
#include "runtime/vulkan/execute/memory.h"
#include "runtime/vulkan/execute/pipelines.h"

namespace linnet::vulkan {

/// The number of recordings and descriptor sets since the program was loaded. Tests verify that a token in
/// the steady state adds none.
struct RecordingCounts {
  uint64_t recordings = 0, descriptor_sets = 0;
  uint64_t copies = 0; ///< copies recorded for loops
  bool operator==(const RecordingCounts &) const = default;
};

class Recording {
public:
  Recording(std::shared_ptr<Context> context) : context(std::move(context)) {}
  Recording(const Recording &) = delete;
  ~Recording();

  /// `planned` has one dispatch per command. With `timed`, each command is between two time stamps.
  Result<void> record(std::span<const PlannedDispatch> planned, const Pipelines &pipelines,
                      const fb::Program &program, const Buffers &buffers, bool timed,
                      RecordingCounts &counts);
  Result<void> run() { return context->submit(std::span(&commands, 1)); }
  VkCommandBuffer handle() const { return commands; }
  /// Ticks of the last run: command i began at stamps[2 i] and ended at stamps[2 i + 1].
  Result<std::vector<uint64_t>> stamps() const;

  std::vector<uint32_t> choices; ///< the choice of each command
  std::vector<bool> skipped;     ///< whether each command has no steps
  uint32_t dispatches = 0, barriers = 0;

private:
  Result<void> makeSets(std::span<const Part *const> parts, const Pipelines &pipelines,
                        const fb::Program &program, const Buffers &buffers,
                        std::vector<VkDescriptorSet> &sets);
  Result<VkBufferView> view(const Range &range, uint32_t words, const Buffers &buffers);
  void barrier(VkPipelineStageFlags to, VkAccessFlags access);

  std::shared_ptr<Context> context;
  VkCommandBuffer commands = nullptr;
  VkDescriptorPool pool = nullptr;
  std::vector<VkBufferView> views;
  VkQueryPool queries = nullptr;
};

} // namespace linnet::vulkan
