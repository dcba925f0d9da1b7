// Builds the program of target "reference": the module as text and row-major weights.
#pragma once
#include "backends/common/weights.h"
#include "runtime/artifact/artifact_generated.h"

#include "mlir/IR/BuiltinOps.h"

namespace linnet::reference {

/// Returns a program with ports, states and bounds, without commands and code. Params are rounded to their own type and
/// stored as f32.
Result<fb::ProgramT> makeReferenceProgram(mlir::ModuleOp module, WeightSource &weights, BlobSink &blobs);

} // namespace linnet::reference
