// Many steps of entries in one submission: each step submits the entries' recordings, with recorded copies in
// between.
#pragma once
#include "runtime/device.h"
#include "runtime/vulkan/execute/recording.h"

#include <functional>
#include <memory>
#include <vector>

namespace linnet::vulkan {

class VulkanExecutable;

/// make() allocates all memory and records every copy. If the shapes of a run have run before, it only
/// submits and waits.
class VulkanLoop : public Loop {
public:
  static Result<std::unique_ptr<VulkanLoop>> make(VulkanExecutable &executable, const LoopSpec &spec);
  ~VulkanLoop() override;

  int64_t mostSteps() const override;
  Result<void> run(int64_t steps, std::span<const LoopInputs> given,
                   std::span<const std::span<const std::byte>> tables) override;
  Result<std::span<const std::byte>> history(int i) override;
  /// Bytes of its tables and histories.
  uint64_t bytes() const { return touched->buffers.bytes(); }

private:
  struct Stage {
    int entry = 0;
    const fb::Entry *ports = nullptr;
    std::vector<bool> given;          // inputs that an earlier entry computes
    std::vector<bool> wanted;         // outputs that are used; empty for the last entry: all
    VkCommandBuffer onward = nullptr; // copies to later entries; null if there are none
    Recording *recording = nullptr;   // recording of the next run
    std::span<const int64_t> symbols;
  };
  // A port's values in each step: row i begins at i times the port's size.
  struct Rows {
    LoopSpec::Port which;
    const fb::Port *port = nullptr;
    Range range, place; // memory of all rows, and of the port
    uint64_t used = 0;  // bytes of a row in the last run
    std::vector<std::byte> host;
    Range row(uint64_t i) const { return {range.buffer, range.offset + i * port->bytes(), port->bytes()}; }
  };

  VulkanLoop(VulkanExecutable &executable, const LoopSpec &spec);
  Result<void> check() const;
  Result<void> checkSizes(int64_t count, std::span<const std::span<const std::byte>> given) const;
  Result<void> makeStages();
  Result<void> allocate();
  Result<void> recordCopies();
  Result<void> record(VkCommandBuffer &commands, const std::function<void(VkCommandBuffer)> &copies);
  void copyCarries(VkCommandBuffer commands, const std::function<bool(const LoopSpec::Carry &)> &which) const;
  void copy(VkCommandBuffer commands, const Buffers &from_list, const Range &from, const Buffers &to_list,
            const Range &to) const;
  std::vector<bool> wantedOf(int stage, size_t outputs) const;
  Result<void> writeTable(Rows &rows, std::span<const std::byte> given);
  const fb::Port &input(LoopSpec::Port port) const;
  const fb::Port &output(LoopSpec::Port port) const;
  const Range &inputPlace(LoopSpec::Port port) const;
  const Range &outputPlace(LoopSpec::Port port) const;
  uint64_t bytesOf(const fb::Port &port, int stage) const;

  // The objects that the device uses while it runs.
  struct Touched {
    explicit Touched(const std::shared_ptr<Context> &context) : context(context), buffers(context) {}
    ~Touched();
    std::shared_ptr<Context> context;
    Buffers buffers;
    std::vector<VkCommandBuffer> commands; // all recorded command buffers
  };

  VulkanExecutable &executable;
  std::shared_ptr<Context> context;
  std::shared_ptr<Touched> touched;
  Buffers &buffers = touched->buffers;
  LoopSpec spec;
  std::vector<Stage> stages;
  std::vector<Rows> tables, histories;
  std::vector<VkCommandBuffer> copies;   // copies[i] run after step i
  std::vector<VkCommandBuffer> sequence; // all command buffers of a submission
  int64_t steps = 0;                     // number of steps of the last run
};

} // namespace linnet::vulkan
