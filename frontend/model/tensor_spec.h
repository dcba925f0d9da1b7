// One tensor that a model has: its names, its shape and what it does in the model.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace linnet {

enum class TensorRole : uint8_t {
  weight,    ///< of a block: matrices and their biases
  residual,  ///< a block's projection into the residual stream
  norm,      ///< gains and biases of norms
  embedding, ///< of tokens: [vocabulary, width]; a tied head reads it, too
  positions, ///< embedding of positions
  head,      ///< of a language model, if it has a matrix of its own
  classifier ///< layers of a classifier's head
};

struct TensorSpec {
  /// Canonical: transformers' name without the prefix of the body.
  std::string name;
  std::vector<int64_t> shape;
  TensorRole role = TensorRole::weight;
  int64_t block = -1;              ///< number of the block that it belongs to, or -1
  std::string gguf = {};           ///< its name in GGUF
  bool transposed_in_gguf = false; ///< GGUF stores this matrix as [columns, rows] of `shape`

  uint64_t elements() const {
    uint64_t count = 1;
    for (int64_t size : shape) count *= static_cast<uint64_t>(size);
    return count;
  }
};

} // namespace linnet
