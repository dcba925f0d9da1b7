// For tests: a module goes the whole way, passes, lowering, artifact file, the runtime's cpu device, and
// runs.
#pragma once
#include "backends/cpu/lower.h"
#include "backends/reference/interpreter.h"
#include "lab/loaded_program.h"
#include "passes/Passes.h"

#include <string>

namespace linnet::cpu::testing {

class CompiledModule {
public:
  CompiledModule() = default;
  /// The module is copied. `weights` gives what its params name.
  static Result<CompiledModule> compile(mlir::ModuleOp module, const reference::WeightProvider &weights,
                                        const CpuOptions &options = {}, const PipelineSpec &pipeline = {},
                                        int threads = 0);
  /// Inputs by name to outputs by name. States are kept from run to run. Dimensions that no input has are at
  /// their bound.
  Result<reference::Named> run(std::string_view entry, const reference::Named &inputs) {
    return loaded.run(entry, inputs);
  }
  void resetStates() { loaded.resetStates(); }
  const fb::Program &program() const { return loaded.program(); }

private:
  explicit CompiledModule(lab::LoadedProgram program) : loaded(std::move(program)) {}
  lab::LoadedProgram loaded;
};

} // namespace linnet::cpu::testing
