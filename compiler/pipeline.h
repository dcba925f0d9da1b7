// Runs the passes for one target on a module and times them.
#pragma once
#include "backends/common/weights.h"
#include "compiler/api.h"
#include "compiler/dump/dump.h"

#include "mlir/IR/BuiltinOps.h"

#include <string>
#include <vector>

namespace mlir {
class PassManager;
} // namespace mlir

namespace linnet {

/// What options.kv_cache means: f32, bf16 or f16.
std::string kvCacheOf(const CompileOptions &options);

/// The passes that the options ask for, those of plugins among them. `target` without what follows a colon.
Result<void> fillPipeline(mlir::PassManager &manager, const std::string &target,
                          const CompileOptions &options);

/// Passes that options.disabled_passes may name: CompilerApi::optionalPasses.
Result<std::vector<std::string>> optionalPasses(const CompileOptions &options);

/// `target` without what follows a colon. Appends the time of each pass, and what verifying found, to
/// `report`, and writes the module after each pass to `dump` where there is one. Errors name the pass and the
/// place in the graph.
Result<void> runPipeline(mlir::ModuleOp module, const std::string &target, const CompileOptions &options,
                         WeightSource &weights, CompileReport &report, dump::Dump *dump = nullptr);

} // namespace linnet
