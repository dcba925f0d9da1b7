// From an input file to an artifact. The driver reaches these through the table in api.h.
#pragma once
#include "compiler/api.h"
#include "compiler/input.h"

namespace linnet {

/// Reads options.input, runs the pipeline and the backend for each target, writes options.output in one go:
/// nothing exists under that name before all is done. Weights are streamed from the mapped checkpoint.
Result<CompileReport> compileModel(const CompileOptions &options);

/// The same of what is open already; options.dtype is not "auto".
Result<CompileReport> compileOpened(ModelInput &input, const CompileOptions &options);

/// The same for an artifact that trains.
Result<CompileReport> compileTraining(const TrainingOptions &options);

/// compileModel into the cache, unless it is there.
Result<CompileReport> compileCached(const CompileOptions &options);

} // namespace linnet
