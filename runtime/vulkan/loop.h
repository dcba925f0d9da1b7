// Steps of an entry in one submission: its recording once a step, small recorded copies in between.
#pragma once
#include "runtime/device.h"
#include "runtime/vulkan/memory.h"

#include <memory>
#include <vector>

namespace linnet::vulkan {

class VulkanExecutable;

/// All memory is taken and every copy is recorded when it is made: a run of an entry whose shape has run
/// before submits, waits, and does no more.
class VulkanLoop : public Loop {
public:
  static Result<std::unique_ptr<VulkanLoop>> make(VulkanExecutable &executable, const LoopSpec &spec);
  ~VulkanLoop() override;

  int64_t mostSteps() const override;
  Result<void> run(int64_t steps, std::span<const int64_t> symbols,
                   std::span<const std::span<const std::byte>> inputs,
                   std::span<const std::span<const std::byte>> tables) override;
  Result<std::span<const std::byte>> history(int i) override;
  /// Of its tables and histories.
  uint64_t bytes() const { return buffers.bytes(); }

private:
  // A port's values in each step, one row behind the other: row i begins at i times the port's size.
  struct Rows {
    const fb::Port *port = nullptr;
    Range range, place; // of all rows; of the port itself
    uint64_t used = 0;  // bytes of a row in the last run
    std::vector<std::byte> host;
    Range row(uint64_t i) const { return {range.buffer, range.offset + i * port->bytes(), port->bytes()}; }
  };

  VulkanLoop(VulkanExecutable &executable, const LoopSpec &spec);
  Result<void> checkSpec() const;
  Result<void> checkSizes(int64_t count, std::span<const int64_t> symbols,
                          std::span<const std::span<const std::byte>> given) const;
  Result<void> allocate();
  Result<void> recordCopies();
  Result<void> record(VkCommandBuffer commands, uint64_t step) const;
  void barrier(VkCommandBuffer commands, VkPipelineStageFlags from, VkAccessFlags written,
               VkPipelineStageFlags to, VkAccessFlags access) const;
  Result<void> writeTable(Rows &rows, std::span<const std::byte> given, uint64_t row_bytes);

  VulkanExecutable &executable;
  std::shared_ptr<Context> context;
  const fb::Entry &entry;
  LoopSpec spec;
  Buffers buffers;
  std::vector<Rows> tables, histories;
  std::vector<VkCommandBuffer> copies;   // number i stands behind step i
  std::vector<VkCommandBuffer> sequence; // of a submission
  int64_t steps = 0;                     // of the last run
};

} // namespace linnet::vulkan
