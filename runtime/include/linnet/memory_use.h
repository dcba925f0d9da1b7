// Memory of a loaded model.
#pragma once
#include <cstdint>

namespace linnet {

/// All sizes are bytes. Weights are mapped from the file and shared by all processes. The rest is private to
/// one session and allocated when it is opened. Pages that were never touched use no physical memory.
struct MemoryUse {
  uint64_t weights = 0;
  uint64_t states = 0;  ///< KV cache at the largest batch and context
  uint64_t arena = 0;   ///< activations
  uint64_t io = 0;      ///< inputs and outputs
  uint64_t scratch = 0; ///< working memory of oneDNN's matmuls, and of decoding many tokens on a device
  uint64_t total() const { return weights + states + arena + io + scratch; }
};

} // namespace linnet
