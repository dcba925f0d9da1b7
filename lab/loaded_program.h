// A program straight from a backend, loaded on its device, run on the interpreter's tensors.
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
  /// Writes what `lower` makes to a scratch artifact and opens it on the program's target.
  static Result<LoadedProgram> make(const Lower &lower, int threads = 0);

  /// Inputs by name to outputs by name. States are kept from run to run. Dimensions that no input has are at
  /// their bound.
  Result<reference::Named> run(std::string_view entry, const reference::Named &inputs);
  void resetStates() { executable->resetStates(); }
  const fb::Program &program() const { return *found; }

private:
  std::shared_ptr<Artifact> artifact;
  const fb::Program *found = nullptr;
  std::shared_ptr<Device> device;
  std::shared_ptr<Executable> executable;
};

/// As a bisection's target runs them: each entry's calls one after the other, states zero before the first.
Result<TargetRun> runRounds(LoadedProgram &program, const Rounds &rounds);

} // namespace linnet::lab
