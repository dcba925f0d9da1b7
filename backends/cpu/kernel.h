// Sources of kernels. A kernel's name contains everything that its code depends on, so equal names are one kernel.
// runtime/cpu/kernel_abi.h has the calling convention. Sizes are in elements; tensors are row-major unless a comment
// says otherwise.
#pragma once
#include "backends/common/kernel_types.h"

#include <functional>
#include <string>

namespace linnet::cpu {

using backend::Activation;
using backend::Extent;
using backend::Type;

/// Consecutive rows of a packed weight that share a 32-bit word. f16 has no instruction for pairs, so it has one row.
inline int64_t interleaveOf(Type type) {
  return type == Type::bf16 ? 2 : type == Type::i8 ? 4 : type == Type::i4 ? 8 : 1;
}

class Emitter;
/// One kernel: `emit` writes its body for the emitter's instruction set.
struct KernelSource {
  std::string name;
  std::function<void(Emitter &)> emit;
};

} // namespace linnet::cpu
