// Compiles an input file to an artifact. The driver calls these functions through the table in api.h.
#pragma once
#include "compiler/api.h"
#include "compiler/input.h"

namespace linnet {

/// Reads options.input, runs the pipeline and the backend for each target, and writes options.output
/// atomically. Weights are streamed from the mapped checkpoint.
Result<CompileReport> compileModel(const CompileOptions &options);

/// The same for an opened input. options.dtype must be neither empty nor "auto".
Result<CompileReport> compileOpened(ModelInput &input, const CompileOptions &options);

/// The same for an artifact that trains.
Result<CompileReport> compileTraining(const TrainingOptions &options);

/// compileModel into the cache, unless the artifact is cached.
Result<CompileReport> compileCached(const CompileOptions &options);

} // namespace linnet
