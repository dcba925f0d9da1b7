// Kernels by contract: each function describes one generated kernel, its arguments and its work items. A
// kernel's name tells all that its code depends on, so that equal names are one kernel. Convention of calls:
// runtime/cpu/kernel_abi.h. Sizes are in elements, tensors row-major unless told otherwise.
#pragma once
#include "backends/common/kernel_types.h"

#include <functional>
#include <string>

namespace linnet::cpu {

using backend::Activation;
using backend::Extent;
using backend::Type;

/// Rows of a packed weight that lie together: as many as fill 32 bits; f16 has no instruction for pairs.
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
