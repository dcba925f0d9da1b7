// The files that hold a checkpoint's weights, in Hugging Face's layout.
#pragma once
#include "frontend/checkpoint/tensor.h"
#include "support/result.h"

#include <map>
#include <string>
#include <vector>

namespace linnet {

struct WeightFiles {
  std::string format;              ///< "safetensors", "pytorch"
  std::vector<TensorView> tensors; ///< under the names of the files
  /// Tensors that a file left out because it holds the same data under another name: absent -> present, as
  /// safetensors' save_model notes it.
  std::map<std::string, std::string> shared;
  std::vector<std::string> paths; ///< of an index and its shards, or of the one file
};

/// Reads `path`, or the weights of a directory: model.safetensors, its shards by
/// model.safetensors.index.json, pytorch_model.bin, or its shards by pytorch_model.bin.index.json, the first
/// of these that is there.
Result<WeightFiles> readWeightFile(const std::string &path);
Result<WeightFiles> readWeightDirectory(const std::string &directory);

} // namespace linnet
