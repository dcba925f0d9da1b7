// The graph that a training asks for.
#pragma once
#include "compiler/input.h"

namespace linnet {

/// The module with the entries of training, made from a checkpoint's loss or from the @loss of an .mlir by
/// linnet-autodiff. Errors name the option, the parameter or the op.
Result<mlir::OwningOpRef<mlir::ModuleOp>> buildTraining(const ModelInput &input, mlir::MLIRContext &context,
                                                        const TrainingOptions &options);

} // namespace linnet
