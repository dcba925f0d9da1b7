// The conformance cases (tests/ops) on the cpu: with each instruction set that the machine has.
#include "tests/cpu/compiled_module.h"
#include "tests/ops/agreement.h"

#include "support/error.h"

namespace linnet::testing {
using cpu::Isa;
using cpu::testing::CompiledModule;

namespace {

/// Of two levels the richer one's code is left out where the generators write the same for both. LLVM chooses
/// instructions, too: what is left out must be the same to the byte.
Result<void> checkLeftOut(mlir::ModuleOp module, const reference::WeightProvider &weights,
                          const PipelineSpec &pipeline, const CompiledModule &alone,
                          const std::string &poorer) {
  if (alone.program().code()->size() == 0) return {};
  const fb::Code &code = *alone.program().code()->Get(0);
  LINNET_ASSIGN(
      const CompiledModule both,
      CompiledModule::compile(module, weights, {.isas = code.isa()->str() + "," + poorer}, pipeline));
  const auto &kept = *both.program().code();
  if (kept.size() == 2 || kept.Get(0)->blob()->hash() == code.blob()->hash()) return {};
  return errorf("code for {} was left out, but is not that for {}", code.isa()->string_view(), poorer);
}

} // namespace

std::vector<Runner> runnersUnderTest() {
  std::vector<Runner> runners;
  const std::vector<Isa> isas = *cpu::selectIsas("");
  for (size_t i = 0; i < isas.size(); ++i) {
    const Isa &isa = isas[i];
    if (!cpu::hostRuns(isa)) continue;
    const bool extends = i + 1 < isas.size() && isa.onlyExtends(isas[i + 1]);
    auto load = [isas = isa.name, poorer = extends ? isas[i + 1].name : ""](
                    mlir::ModuleOp module, const reference::WeightProvider &weights,
                    const PipelineSpec &pipeline) -> Result<Runner::Run> {
      LINNET_ASSIGN(CompiledModule compiled,
                    CompiledModule::compile(module, weights, {.isas = isas}, pipeline));
      if (!poorer.empty()) LINNET_TRY(checkLeftOut(module, weights, pipeline, compiled, poorer));
      return Runner::Run([compiled](std::string_view entry, const reference::Named &inputs) mutable {
        return compiled.run(entry, inputs);
      });
    };
    runners.push_back({isa.name, "cpu", load});
  }
  return runners;
}

} // namespace linnet::testing
