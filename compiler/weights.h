// Weights of a checkpoint or of one safetensors file, as a WeightSource for backends.
#pragma once
#include "backends/common/weights.h"
#include "backends/reference/tensor.h"
#include "frontend/checkpoint/checkpoint.h"
#include "frontend/checkpoint/safetensors.h"

#include "mlir/IR/BuiltinOps.h"

#include <memory>
#include <optional>

namespace linnet {

/// Weights by canonical name. Copies the checkpoint's tables, but not its data. Reading infinite or NaN
/// values is an error.
std::unique_ptr<WeightSource> weightsOf(const Checkpoint &checkpoint);
/// Weights by their names in the file. Without a file, open() returns an error that --weights is missing.
std::unique_ptr<WeightSource> weightsOf(std::optional<SafetensorsFile> file, const std::string &path);

/// Whole tensors for the interpreter; each is read once. `stored` must outlive the result.
reference::WeightProvider providerOf(WeightSource &stored);

/// The interpreter's weights as a WeightSource, in f32.
std::unique_ptr<WeightSource> weightsOf(reference::WeightProvider provider);

/// The results of the module's weight functions (linnet.weight), and `stored` for all other weights. Both
/// must outlive the result.
std::unique_ptr<WeightSource> withComputed(mlir::ModuleOp module, WeightSource &stored);

} // namespace linnet
