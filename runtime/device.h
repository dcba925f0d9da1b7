// The seam between the runtime and what executes a program: a Device loads a Program of an artifact and gives
// an Executable, which runs entries. Sessions, generation and the tools know no more than this.
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
  int threads = 0; ///< 0: what OMP_NUM_THREADS or the machine says
};

/// Entries that run in turn, again and again without the host in between, and what becomes of their ports.
struct LoopSpec {
  /// Input or output `number` of the entry that a step runs at place `stage`.
  struct Port {
    int stage = 0, number = 0;
  };
  struct Carry {
    Port output, input;
  };
  std::vector<int> entries; ///< of a step, in order, each once
  /// Outputs that become inputs: of the same step where the input's entry runs later, else of the next one.
  std::vector<Carry> carries;
  std::vector<Port> tables;    ///< inputs with a value for each step, known beforehand
  std::vector<Port> histories; ///< outputs that are kept of each step

  /// Whether the input is what an entry before it gives in the same step.
  bool isGiven(Port input) const;
};

/// What an entry of a loop is given for the first step. Empty where LoopSpec::isGiven.
struct LoopInputs {
  std::span<const int64_t> symbols;
  std::span<const std::span<const std::byte>> inputs;
};

/// What Executable::makeLoop gives, which it must not outlive. It takes no memory when it runs.
class LINNET_API Loop {
public:
  virtual ~Loop() = default;
  /// The most steps of one run.
  virtual int64_t mostSteps() const = 0;
  /// Runs `steps` steps. `given` holds each entry's inputs; `tables[i]` is what input LoopSpec::tables[i] is
  /// in each step behind the first, one after the other. Inputs that are neither carried nor in a table stay.
  /// Checks every size. Afterwards Executable::output gives the last entry's of the last step.
  virtual Result<void> run(int64_t steps, std::span<const LoopInputs> given,
                           std::span<const std::span<const std::byte>> tables) = 0;
  /// Output LoopSpec::histories[i] in each step of the last run, one after the other. Valid until the next
  /// run.
  virtual Result<std::span<const std::byte>> history(int i) = 0;
};

/// A loaded program: weights mapped, arena and states allocated once. Not safe for two threads at a time.
class LINNET_API Executable {
public:
  virtual ~Executable() = default;

  /// Runs entry `entry` with Program.symbols bound to `symbols`. inputs[i] is the i-th input port's data in
  /// row-major order for these symbols. `wanted[i]` says whether output i will be read. Checks every size.
  /// A symbol is from 1 to the entry's bound. An empty `wanted` means all outputs.
  virtual Result<void> run(int entry, std::span<const int64_t> symbols,
                           std::span<const std::span<const std::byte>> inputs,
                           const std::vector<bool> &wanted) = 0;
  /// Data of output i of the last run, for that run's symbols. Valid until the next run.
  virtual Result<std::span<const std::byte>> output(int i) = 0;
  /// State contents back to zero.
  virtual void resetStates() = 0;
  /// Copies the state called `name` out or in: row-major, all of its bytes at the largest bounds. An error
  /// where there is no such state, the size differs, or the device cannot.
  virtual Result<void> readState(std::string_view name, std::span<std::byte> to);
  virtual Result<void> writeState(std::string_view name, std::span<const std::byte> from);
  virtual MemoryUse memory() const = 0;
  /// Takes the loop's memory. Null: this device runs steps one at a time, as run() does.
  virtual Result<std::unique_ptr<Loop>> makeLoop(const LoopSpec &) { return std::unique_ptr<Loop>(); }
  /// Runs to come tell `profiler` of each of their commands; null: no more.
  virtual void setProfiler(std::shared_ptr<Profiler> profiler) = 0;
};

/// The number of the state called `name`, of exactly `bytes` bytes: what readState and writeState begin with.
LINNET_API Result<uint32_t> findState(const fb::Program &program, std::string_view name, uint64_t bytes);

class LINNET_API Device {
public:
  virtual ~Device() = default;
  /// As it runs what was loaded with `options`.
  virtual std::string description(const DeviceOptions &options) const = 0;
  virtual DeviceKind kind() const = 0;
  /// `artifact` outlives the Executable.
  virtual Result<std::unique_ptr<Executable>> load(const Artifact &artifact, const fb::Program &program,
                                                   const DeviceOptions &options) = 0;
};

/// Devices by the name of the target they execute. "cpu" and "vulkan" are built in; the compiler library adds
/// "reference".
using DeviceFactory = std::function<Result<std::unique_ptr<Device>>(std::string_view argument)>;
LINNET_API void registerDevice(std::string target, DeviceFactory factory);
/// `spec` is TARGET or TARGET:ARGUMENT. An unknown target is an error that lists those that there are.
LINNET_API Result<std::unique_ptr<Device>> openDevice(std::string_view spec);

} // namespace linnet
