// Runs the passes for one target on a module and times them.
#pragma once
#include "compiler/api.h"

#include "mlir/IR/BuiltinOps.h"

#include <string>
#include <vector>

namespace linnet {

/// `target` without what follows a colon. Appends the time of each pass to `phases`. Errors name the pass and
/// the place in the graph.
Result<void> runPipeline(mlir::ModuleOp module, const std::string &target, const CompileOptions &options,
                         std::vector<PhaseTime> &phases);

} // namespace linnet
