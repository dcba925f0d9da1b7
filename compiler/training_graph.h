// Builds the graph of a training.
#pragma once
#include "compiler/input.h"

namespace linnet {

/// The module with the entries of training. linnet-autodiff makes them from a checkpoint's loss or from @loss
/// of an .mlir. Errors name the option, the parameter or the op.
Result<mlir::OwningOpRef<mlir::ModuleOp>> buildTraining(const ModelInput &input, mlir::MLIRContext &context,
                                                        const TrainingOptions &options);

} // namespace linnet
