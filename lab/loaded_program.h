// Loads a program from a backend on its device, and runs it on the interpreter's tensors.
#pragma once
#include "backends/common/weights.h"
#include "lab/bisect.h"
#include "runtime/device.h"

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace linnet::lab {

using Lower = std::function<Result<fb::ProgramT>(BlobSink &blobs)>;

class LoadedProgram {
public:
  /// Writes the program of `lower` to a temporary artifact and opens it on the program's target.
  static Result<LoadedProgram> make(const Lower &lower, int threads = 0);

  /// Runs an entry with inputs by name and returns its outputs by name. States are kept between runs.
  /// Dimensions that no input has are at their bound.
  Result<reference::Named> run(std::string_view entry, const reference::Named &inputs);
  void resetStates() { executable->resetStates(); }
  const fb::Program &program() const { return *found; }

private:
  std::shared_ptr<Artifact> artifact;
  const fb::Program *found = nullptr;
  std::shared_ptr<Device> device;
  std::shared_ptr<Executable> executable;
};

/// Runs the calls for a bisection's target: each entry's calls in order, with states of zero before the
/// first.
Result<TargetRun> runRounds(LoadedProgram &program, const Rounds &rounds);

} // namespace linnet::lab
