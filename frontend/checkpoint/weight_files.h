// Reads the files of a checkpoint's weights in Hugging Face's layout.
#pragma once
#include "frontend/checkpoint/tensor.h"
#include "support/result.h"

#include <map>
#include <string>
#include <vector>

namespace linnet {

struct WeightFiles {
  std::string format;              ///< "safetensors", "pytorch"
  std::vector<TensorView> tensors; ///< with the names that the files have
  /// Absent -> present: tensors that a file omits because it holds the same data under another name.
  /// safetensors' save_model records them.
  std::map<std::string, std::string> shared;
  std::vector<std::string> paths; ///< the index and its shards, or the one file
};

Result<WeightFiles> readWeightFile(const std::string &path);
/// Reads the first of these that exists: model.safetensors, the shards of model.safetensors.index.json,
/// pytorch_model.bin, the shards of pytorch_model.bin.index.json.
Result<WeightFiles> readWeightDirectory(const std::string &directory);

} // namespace linnet
