#include "support/error.h"
#include "tests/cpu/path.h"
#include "tests/reference/provided_weights.h"

#include "mlir/IR/OwningOpRef.h"
#include "mlir/Pass/PassManager.h"

namespace linnet::cpu::testing {

Result<CompiledModule> CompiledModule::compile(mlir::ModuleOp module,
                                               const reference::WeightProvider &weights,
                                               const CpuOptions &options, const PipelineSpec &pipeline,
                                               int threads) {
  registerPasses();
  mlir::OwningOpRef<mlir::ModuleOp> planned(module.clone());
  mlir::PassManager manager(module.getContext());
  LINNET_TRY(buildPipeline(manager, pipeline));
  if (mlir::failed(manager.run(*planned))) return Error{"the passes failed"};
  linnet::testing::ProvidedWeights source(weights);
  auto lower = [&](BlobSink &blobs) { return lowerToCpu(*planned, source, blobs, options); };
  LINNET_ASSIGN(lab::LoadedProgram program, lab::LoadedProgram::make(lower, threads));
  return CompiledModule(std::move(program));
}

std::vector<Runner> runnersUnderTest() {
  std::vector<Runner> runners;
  const std::vector<Isa> isas = *selectIsas("");
  for (const Isa &isa : isas) {
    if (!hostRuns(isa)) continue;
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

} // namespace linnet::cpu::testing
