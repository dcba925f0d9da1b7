// One tensor of a model: its names, shape and role.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace linnet {

enum class TensorRole : uint8_t {
  weight,    ///< matrices of a block and their biases
  residual,  ///< a block's projection into the residual stream
  norm,      ///< gains and biases of norms
  embedding, ///< embedding of tokens, [vocabulary, width]; a tied head reads it, too
  positions, ///< embedding of positions
  head,      ///< separate matrix of a language model's head
  classifier ///< layers of a classifier's head
};

struct TensorSpec {
  /// Canonical: transformers' name without the prefix of the body.
  std::string name;
  std::vector<int64_t> shape;
  TensorRole role = TensorRole::weight;
  int64_t block = -1;              ///< number of its block, or -1
  std::string gguf = {};           ///< name in GGUF
  bool transposed_in_gguf = false; ///< GGUF stores this matrix as [columns, rows] of `shape`
  int64_t paired_heads = 0; ///< GGUF stores the rows of so many heads in pairs: TensorView::paired_heads

  uint64_t elements() const {
    uint64_t count = 1;
    for (int64_t size : shape) count *= static_cast<uint64_t>(size);
    return count;
  }
};

} // namespace linnet
