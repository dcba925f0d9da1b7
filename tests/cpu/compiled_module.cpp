#include "tests/cpu/compiled_module.h"
#include "support/error.h"
#include "tests/reference/provided_weights.h"
#include "tests/targets.h"

#include "mlir/IR/OwningOpRef.h"
#include "mlir/Pass/PassManager.h"

namespace linnet::cpu::testing {

Result<CompiledModule> CompiledModule::compile(mlir::ModuleOp module,
                                               const reference::WeightProvider &weights,
                                               const CpuOptions &options, const PipelineSpec &pipeline,
                                               int threads) {
  linnet::testing::registerPassesAndTargets();
  mlir::OwningOpRef<mlir::ModuleOp> planned(module.clone());
  mlir::PassManager manager(module.getContext());
  LINNET_TRY(buildPipeline(manager, pipeline));
  if (mlir::failed(manager.run(*planned))) return Error{"the passes failed"};
  linnet::testing::ProvidedWeights source(*planned, weights);
  auto lower = [&](BlobSink &blobs) { return lowerToCpu(*planned, source, blobs, options); };
  LINNET_ASSIGN(lab::LoadedProgram program, lab::LoadedProgram::make(lower, threads));
  return CompiledModule(std::move(program));
}

} // namespace linnet::cpu::testing
