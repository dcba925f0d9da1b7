// A program on a Vulkan device.
#pragma once
#include "runtime/device.h"
#include "runtime/vulkan/execute/workbench.h"

#include <list>
#include <memory>
#include <set>

namespace linnet::vulkan {

/// Memory, pipelines and descriptors are made when a program or a shape is first used; a run of a shape that
/// has run before submits its recording again and does no more.
class VulkanExecutable : public Executable {
public:
  /// What the device has not finished goes on with what it touches: see abandoned.h.
  ~VulkanExecutable() override;
  static Result<std::unique_ptr<VulkanExecutable>> load(std::shared_ptr<Context> context,
                                                        const Artifact &artifact, const fb::Program &program);

  /// For trials, before the first run.
  Workbench workbench();
  /// Ends them: shaders in `not_used` are never dispatched. Clears the memory if there were any `trials`.
  Result<void> endTrials(PutAside not_used, uint32_t trials);
  Result<void> run(int entry, std::span<const int64_t> symbols,
                   std::span<const std::span<const std::byte>> inputs,
                   const std::vector<bool> &wanted) override;
  Result<std::span<const std::byte>> output(int i) override;
  void resetStates() override;
  Result<void> readState(std::string_view name, std::span<std::byte> to) override;
  Result<void> writeState(std::string_view name, std::span<const std::byte> from) override;
  MemoryUse memory() const override;
  /// Whether weights are the artifact's own pages.
  bool sharesWeights() const { return shared; }
  Result<std::unique_ptr<Loop>> makeLoop(const LoopSpec &spec) override;
  void setProfiler(std::shared_ptr<Profiler> p) override { profiler = std::move(p); }

  const RecordingCounts &counts() const { return made; }
  /// As endTrials() was told.
  uint32_t trials() const { return tried; }
  /// The recording of the last run.
  const Recording &lastRecording() const { return *recordings.front().recording; }

private:
  friend class VulkanLoop;
  VulkanExecutable(std::shared_ptr<Context> context, const Artifact &artifact, const fb::Program &program)
      : context(context), artifact(artifact), program(program),
        touched(std::make_shared<Touched>(context, artifact, program)) {}
  Result<void> allocate();
  bool shareWeights();
  Result<void> upload();
  Result<void> clear();
  Range place(int entry, const fb::Ref &ref) const;
  /// Checks what a run is given, puts its inputs in place, and finds its recording.
  Result<Recording *> ready(int entry, std::span<const int64_t> symbols,
                            std::span<const std::span<const std::byte>> inputs,
                            const std::vector<bool> &wanted, const std::vector<bool> &filled = {});
  /// Gives an entry's ports memory of their own, on the device: other entries run beside it.
  Result<void> moveApart(int entry);
  uint64_t layPorts(int entry);
  Result<Recording *> recordingOf(int entry, std::span<const int64_t> symbols,
                                  const std::vector<bool> &wanted);
  Result<void> report(int entry, const Recording &recording, int64_t begin, int64_t end);

  // Shapes that have run, the last one first.
  struct Kept {
    int entry = 0;
    bool timed = false;
    std::vector<bool> wanted; // outputs: what none of them needs is left out
    std::vector<int64_t> symbols;
    std::unique_ptr<Recording> recording;
  };

  // By the device, while it runs.
  struct Touched {
    Touched(const std::shared_ptr<Context> &context, const Artifact &artifact, const fb::Program &program)
        : buffers(context), pipelines(context, artifact, program) {}
    Buffers buffers;
    Pipelines pipelines;
    std::list<Kept> recordings;
    std::unique_ptr<Recording> trial;
  };

  std::shared_ptr<Context> context;
  const Artifact &artifact;
  const fb::Program &program;
  std::shared_ptr<Touched> touched;
  Buffers &buffers = touched->buffers;
  Pipelines &pipelines = touched->pipelines;
  std::list<Kept> &recordings = touched->recordings;
  std::vector<Range> weights, states;
  Range arena, io;
  std::vector<std::vector<Range>> inputs, outputs; // of each entry
  std::set<int> apart;                             // entries that were moved
  PutAside aside;
  uint32_t tried = 0;
  RecordingCounts made;
  std::vector<int64_t> symbols; // of the last run
  std::vector<std::byte> copy;  // of an output that the host does not reach
  std::shared_ptr<Profiler> profiler;
  MemoryUse use;
  bool shared = false; ///< weights are the artifact's own memory
  std::string failure; // of resetStates(), told by the next run
  int last_entry = -1;
};

} // namespace linnet::vulkan
