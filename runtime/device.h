// The interface between the runtime and its devices. A Device loads a Program of an artifact and returns an
// Executable, which runs entries. Sessions, generation and the tools use only this interface.
#pragma once
#include "linnet/api.h"
#include "linnet/device_kind.h"
#include "linnet/memory_use.h"
#include "linnet/profile.h"
#include "runtime/artifact/artifact.h"
#include "support/result.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace linnet {

struct DeviceOptions {
  int threads = 0; ///< 0: OMP_NUM_THREADS, else one per core
};

/// A loop over entries that a device runs without the host between steps, and the data flow of their ports.
struct LoopSpec {
  /// Input or output `number` of entries[stage].
  struct Port {
    int stage = 0, number = 0;
  };
  struct Carry {
    Port output, input;
  };
  std::vector<int> entries; ///< the entries of a step, in order, without repeats
  /// Outputs that become inputs: in the same step if the input's entry runs later, else in the next step.
  std::vector<Carry> carries;
  std::vector<Port> tables;    ///< inputs whose values for all steps are known in advance
  std::vector<Port> histories; ///< outputs that are kept for each step

  /// Whether an earlier entry of the same step computes the input.
  bool isGiven(Port input) const;
};

/// The inputs of one entry for the first step. Inputs for which LoopSpec::isGiven holds are empty.
struct LoopInputs {
  std::span<const int64_t> symbols;
  std::span<const std::span<const std::byte>> inputs;
};

/// Made by Executable::makeLoop. Must not outlive the Executable. Running it allocates no memory.
class LINNET_API Loop {
public:
  virtual ~Loop() = default;
  /// The largest number of steps of one run.
  virtual int64_t mostSteps() const = 0;
  /// Runs `steps` steps. `given` holds each entry's inputs for the first step. `tables[i]` holds the values
  /// of input LoopSpec::tables[i] in the later steps, concatenated. Other inputs that are not carried keep
  /// their values. Checks every size. Afterwards Executable::output returns the last entry's outputs of the
  /// last step.
  virtual Result<void> run(int64_t steps, std::span<const LoopInputs> given,
                           std::span<const std::span<const std::byte>> tables) = 0;
  /// Output LoopSpec::histories[i] of all steps of the last run, concatenated. Valid until the next run.
  virtual Result<std::span<const std::byte>> history(int i) = 0;
};

/// A loaded program. Weights are mapped; arena and states are allocated once. Not thread-safe.
class LINNET_API Executable {
public:
  virtual ~Executable() = default;

  /// Runs entry `entry` with Program.symbols bound to `symbols`, each from 1 to the entry's bound. inputs[i]
  /// is the i-th input port's data, row-major for these symbols. wanted[i] is true if output i will be read;
  /// an empty `wanted` means all outputs. Checks every size.
  virtual Result<void> run(int entry, std::span<const int64_t> symbols,
                           std::span<const std::span<const std::byte>> inputs,
                           const std::vector<bool> &wanted) = 0;
  /// Data of output i of the last run, for that run's symbols. Valid until the next run.
  virtual Result<std::span<const std::byte>> output(int i) = 0;
  /// Sets all states to zero.
  virtual void resetStates() = 0;
  /// Copies all bytes of the state `name` at the largest bounds, row-major. Errors: no such state, another
  /// size, or a device that does not support it.
  virtual Result<void> readState(std::string_view name, std::span<std::byte> to);
  virtual Result<void> writeState(std::string_view name, std::span<const std::byte> from);
  /// Later runs use the rows from `first` on of all states: row i of a run's batch is row first + i of each state. The
  /// rows of a language model's states are the texts of its batch. Errors: the run's rows do not exist, or the
  /// device cannot begin there.
  virtual Result<void> selectRows(int64_t first);
  /// Copies the first `tokens` keys and values of row `from` of all states to row `to`.
  virtual Result<void> copyRow(int64_t from, int64_t to, int64_t tokens);
  /// The first `tokens` keys and values of row `row` of all states, for writeRow() of an Executable of the same program
  /// and device.
  virtual Result<std::vector<std::byte>> readRow(int64_t row, int64_t tokens);
  /// Writes what readRow() returned for `tokens`. Keys and values after them are undefined.
  virtual Result<void> writeRow(int64_t row, int64_t tokens, std::span<const std::byte> from);
  virtual MemoryUse memory() const = 0;
  /// Allocates the loop's memory. Null if this device has no loops; its steps then run one at a time by
  /// run().
  virtual Result<std::unique_ptr<Loop>> makeLoop(const LoopSpec &) { return std::unique_ptr<Loop>(); }
  /// Records the commands of later runs in `profiler`. Null stops recording.
  virtual void setProfiler(std::shared_ptr<Profiler> profiler) = 0;
};

/// The index of the state `name`. Errors: no such state, or its size is not `bytes`. For readState and
/// writeState.
LINNET_API Result<uint32_t> findState(const fb::Program &program, std::string_view name, uint64_t bytes);

class LINNET_API Device {
public:
  virtual ~Device() = default;
  /// Description of the device with these options: "cpu, 2 threads".
  virtual std::string description(const DeviceOptions &options) const = 0;
  virtual DeviceKind kind() const = 0;
  /// `artifact` must outlive the Executable.
  virtual Result<std::unique_ptr<Executable>> load(const Artifact &artifact, const fb::Program &program,
                                                   const DeviceOptions &options) = 0;
};

/// Registers the device that executes `target`. "cpu" and "vulkan" are built in; the compiler library adds
/// "reference".
using DeviceFactory = std::function<Result<std::unique_ptr<Device>>(std::string_view argument)>;
LINNET_API void registerDevice(std::string target, DeviceFactory factory);
/// `spec` is TARGET or TARGET:ARGUMENT. An unknown target is an error that lists the known ones.
LINNET_API Result<std::unique_ptr<Device>> openDevice(std::string_view spec);

} // namespace linnet
