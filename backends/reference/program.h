// The program of target "reference": the module as text, and its weights row-major.
#pragma once
#include "backends/common/weights.h"
#include "runtime/artifact/artifact_generated.h"

#include "mlir/IR/BuiltinOps.h"

namespace linnet::reference {

/// Ports, states and bounds as any device needs them; no commands and no code. Params are stored as f32,
/// rounded to their own type.
Result<fb::ProgramT> makeReferenceProgram(mlir::ModuleOp module, WeightSource &weights, BlobSink &blobs);

} // namespace linnet::reference
