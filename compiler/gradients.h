// Gradients of a whole model on one batch: compiled, run and written in one go.
#pragma once
#include "compiler/api.h"

namespace linnet {

/// Checks ids and labels against the model, compiles its loss and backward pass, runs it once, writes "loss"
/// (the mean over what counts) and each parameter's gradient to options.output.
Result<GradientReport> computeGradients(const GradientOptions &options);

} // namespace linnet
