// A program on a Vulkan device.
#pragma once
#include "runtime/device.h"
#include "runtime/state_rows.h"
#include "runtime/vulkan/execute/workbench.h"

#include <list>
#include <memory>
#include <set>

namespace linnet::vulkan {

/// Memory, pipelines and descriptors are created when a program or a shape is first used. A later run of the
/// same shape only submits its recording again.
class VulkanExecutable : public Executable {
public:
  /// If the device is still running, its objects are kept: see abandoned.h.
  ~VulkanExecutable() override;
  static Result<std::unique_ptr<VulkanExecutable>> load(std::shared_ptr<Context> context,
                                                        const Artifact &artifact, const fb::Program &program);

  /// The objects that trials use, before the first run.
  Workbench workbench();
  /// Ends trials. Shaders in `not_used` are never dispatched. Clears the memory unless `trials` is 0.
  Result<void> endTrials(PutAside not_used, uint32_t trials);
  Result<void> run(int entry, std::span<const int64_t> symbols,
                   std::span<const std::span<const std::byte>> inputs,
                   const std::vector<bool> &wanted) override;
  Result<std::span<const std::byte>> output(int i) override;
  void resetStates() override;
  Result<void> readState(std::string_view name, std::span<std::byte> to) override;
  Result<void> writeState(std::string_view name, std::span<const std::byte> from) override;
  Result<void> selectRows(int64_t first) override;
  Result<void> copyRow(int64_t from, int64_t to, int64_t tokens) override;
  Result<std::vector<std::byte>> readRow(int64_t row, int64_t tokens) override;
  Result<void> writeRow(int64_t row, int64_t tokens, std::span<const std::byte> from) override;
  MemoryUse memory() const override;
  /// Whether the device reads weights from the mapped artifact.
  bool sharesWeights() const { return shared; }
  Result<std::unique_ptr<Loop>> makeLoop(const LoopSpec &spec) override;
  void setProfiler(std::shared_ptr<Profiler> p) override { profiler = std::move(p); }

  const RecordingCounts &counts() const { return made; }
  /// The number that was passed to endTrials().
  uint32_t trials() const { return tried; }
  /// The recording of the last run.
  const Recording &lastRecording() const { return *recordings.front().recording; }

private:
  friend class VulkanLoop;
  VulkanExecutable(std::shared_ptr<Context> context, const Artifact &artifact, const fb::Program &program)
      : context(context), artifact(artifact), program(program),
        touched(std::make_shared<Touched>(context, artifact, program)) {}
  Result<void> allocate();
  Result<void> needRows();
  /// The part of state `state` that holds the first `tokens` tokens of row `row`, and bytes between them.
  Range rowPart(size_t state, int64_t row, int64_t tokens) const;
  bool shareWeights();
  Result<void> upload();
  Result<void> clear();
  Range place(int entry, const fb::Ref &ref) const;
  /// Checks the arguments of a run, writes its inputs, and returns its recording.
  Result<Recording *> ready(int entry, std::span<const int64_t> symbols,
                            std::span<const std::span<const std::byte>> inputs,
                            const std::vector<bool> &wanted, const std::vector<bool> &filled = {});
  /// Gives an entry's ports separate device memory, because other entries run in the same submission.
  Result<void> moveApart(int entry);
  uint64_t layPorts(int entry);
  Result<Recording *> recordingOf(int entry, std::span<const int64_t> symbols,
                                  const std::vector<bool> &wanted);
  Result<void> report(int entry, const Recording &recording, int64_t begin, int64_t end);

  // A shape that has run. The list has the most recent one first.
  struct Kept {
    int entry = 0;
    int64_t first_row = 0;
    bool timed = false;
    std::vector<bool> wanted; // outputs; commands that none of them needs are left out
    std::vector<int64_t> symbols;
    std::unique_ptr<Recording> recording;
  };

  // The objects that the device uses while it runs.
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
  std::vector<StateRows> state_rows; // made by needRows() when rows are selected, copied, read or written
  int64_t first_row = 0;
  Range arena, io;
  std::vector<std::vector<Range>> inputs, outputs; // indexed by entry
  std::set<int> apart;                             // entries whose ports have separate memory
  PutAside aside;
  uint32_t tried = 0;
  RecordingCounts made;
  std::vector<int64_t> symbols; // symbols of the last run
  std::vector<std::byte> copy;  // host copy of an output that is not mapped
  std::shared_ptr<Profiler> profiler;
  MemoryUse use;
  bool shared = false; ///< weights are read from the mapped artifact
  std::string failure; // error of resetStates(), which the next run returns
  int last_entry = -1;
};

} // namespace linnet::vulkan
