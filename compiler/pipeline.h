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

/// The type that options.kv_cache selects: f32, bf16 or f16.
std::string kvCacheOf(const CompileOptions &options);

/// Adds the passes of the options, including those of plugins. `target` has no part after a colon.
Result<void> fillPipeline(mlir::PassManager &manager, const std::string &target,
                          const CompileOptions &options);

/// Passes that options.disabled_passes may name: CompilerApi::optionalPasses.
Result<std::vector<std::string>> optionalPasses(const CompileOptions &options);

/// Runs the passes. `target` has no part after a colon. Appends the time of each pass and the results of
/// verification to `report`. Writes the module after each pass to `dump`, if not null. Errors name the pass
/// and the graph location.
Result<void> runPipeline(mlir::ModuleOp module, const std::string &target, const CompileOptions &options,
                         WeightSource &weights, CompileReport &report, dump::Dump *dump = nullptr);

} // namespace linnet
