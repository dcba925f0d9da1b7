// Compiles and runs the gradients of a whole model on one batch, and writes them to a file.
#pragma once
#include "compiler/api.h"

namespace linnet {

/// Checks ids and labels against the model, compiles its loss and backward pass, and runs it once. Writes
/// "loss" (the mean over the labels that count) and each parameter's gradient to options.output.
Result<GradientReport> computeGradients(const GradientOptions &options);

} // namespace linnet
