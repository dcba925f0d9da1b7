// Weights of a checkpoint, or of one safetensors file, as backends ask for them.
#pragma once
#include "backends/common/weights.h"
#include "backends/reference/tensor.h"
#include "frontend/checkpoint/checkpoint.h"
#include "frontend/checkpoint/safetensors.h"

#include "mlir/IR/BuiltinOps.h"

#include <memory>
#include <optional>

namespace linnet {

/// By canonical name; keeps a copy of the checkpoint's tables, not of its data. Reading what is infinite or
/// no number is an error.
std::unique_ptr<WeightSource> weightsOf(const Checkpoint &checkpoint);
/// By the names in the file. Without a file there are none: open() says that --weights is missing.
std::unique_ptr<WeightSource> weightsOf(std::optional<SafetensorsFile> file, const std::string &path);

/// Whole tensors for the interpreter, each read once. `stored` must outlive it.
reference::WeightProvider providerOf(WeightSource &stored);

/// What an interpreter reads, for a backend: as f32.
std::unique_ptr<WeightSource> weightsOf(reference::WeightProvider provider);

/// What the module's weight functions compute (linnet.weight), and for all else `stored`. Both must outlive
/// it.
std::unique_ptr<WeightSource> withComputed(mlir::ModuleOp module, WeightSource &stored);

} // namespace linnet
