// The conformance cases (tests/ops) on the cpu: with each instruction set that the machine has.
#include "tests/cpu/compiled_module.h"
#include "tests/ops/agreement.h"

namespace linnet::testing {
using cpu::Isa;
using cpu::testing::CompiledModule;

std::vector<Runner> runnersUnderTest() {
  std::vector<Runner> runners;
  const std::vector<Isa> isas = *cpu::selectIsas("");
  for (const Isa &isa : isas) {
    if (!cpu::hostRuns(isa)) continue;
    auto load = [isas = isa.name](mlir::ModuleOp module, const reference::WeightProvider &weights,
                                  const PipelineSpec &pipeline) -> Result<Runner::Run> {
      LINNET_ASSIGN(CompiledModule compiled,
                    CompiledModule::compile(module, weights, {.isas = isas}, pipeline));
      return Runner::Run([compiled](std::string_view entry, const reference::Named &inputs) mutable {
        return compiled.run(entry, inputs);
      });
    };
    runners.push_back({isa.name, "cpu", load});
  }
  return runners;
}

} // namespace linnet::testing
