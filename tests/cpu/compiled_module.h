// Runs a module through passes, lowering, an artifact file and the runtime's cpu device, for tests.
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
  /// Compiles a copy of the module. `weights` provides its params.
  static Result<CompiledModule> compile(mlir::ModuleOp module, const reference::WeightProvider &weights,
                                        const CpuOptions &options = {}, const PipelineSpec &pipeline = {},
                                        int threads = 0);
  /// Runs an entry with inputs by name and returns its outputs by name. States are kept between runs.
  /// Dimensions that no input has are at their bound.
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
