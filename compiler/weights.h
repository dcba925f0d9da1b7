// Weights of a checkpoint, or of one safetensors file, as backends ask for them.
#pragma once
#include "backends/common/weights.h"
#include "frontend/checkpoint/checkpoint.h"
#include "frontend/checkpoint/safetensors.h"

#include <memory>
#include <optional>

namespace linnet {

/// By canonical name; keeps a copy of the checkpoint's tables, not of its data.
std::unique_ptr<WeightSource> weightsOf(const Checkpoint &checkpoint);
/// By the names in the file. Without a file there are none: open() says that --weights is missing.
std::unique_ptr<WeightSource> weightsOf(std::optional<SafetensorsFile> file, const std::string &path);

} // namespace linnet
