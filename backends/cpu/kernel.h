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

/// How threads share a kernel's items.
struct Work {
  Extent items;
  uint32_t grain = 1;                      ///< items that a thread takes at once
  bool itemwise = false, scatters = false; ///< see Call (call.h)
};

// Grains by kind of item. A grain's work must be longer than taking it. The kinds: moved elements; elements of columns
// of a few rows; elements of long streams; columns of many rows.
constexpr uint32_t kElementGrain = 1024, kColumnGrain = 256, kStreamGrain = 4096, kTallColumnGrain = 64;

struct SizedKernel {
  KernelSource source;
  Work work;
};

/// The kernel of a specification in backends/common/specs. The file that generates it specializes emit() and workOf()
/// (emitter.h) and instantiates this template. A missing kernel is an error of the linker that names the specification.
template <class Spec> SizedKernel kernelOf(const Spec &spec);

} // namespace linnet::cpu
