// `linnet bisect`: lab/bisect.h for a model and a target, its finding written to files.
#pragma once
#include "compiler/api.h"

namespace linnet {

/// options.output is the .mlir to write when something is found; one target.
Result<BisectReport> bisectModel(const CompileOptions &options);

} // namespace linnet
