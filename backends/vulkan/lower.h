// The entry point of the vulkan backend: lowers a planned module of the linnet dialect to a Program of dispatches.
//
//   fb::ProgramT program = *lowerToVulkan(module, checkpoint, sink, {});
//
// `planned` is the module after the pass pipeline for target "vulkan" (passes/Plan.h). Each op becomes a dispatch with
// several kernels to choose from, because devices differ. Equal kernels are generated once. Weights are packed and
// written to `sink`, then the SPIR-V words.
#pragma once
#include "backends/common/weights.h"
#include "runtime/artifact/artifact_generated.h"
#include "support/result.h"

#include "mlir/IR/BuiltinOps.h"

#include <array>
#include <functional>
#include <string>

namespace linnet {

struct VulkanOptions {
  /// The most bytes of one binding. Matmuls of larger matrices are split.
  uint64_t binding = uint64_t(1) << 27;
  /// Shapes {M, N, K, size of subgroups} of f16 products for prompts of models with weights narrower than f32. The
  /// default has NVIDIA's and AMD's; tests set others.
  std::vector<std::array<uint32_t, 4>> matrices = {{16, 16, 16, 32}, {16, 16, 16, 64}};
  /// The smallest and largest subgroup whose lanes share the products of few rows on a GPU. Tests set others.
  std::array<uint32_t, 2> lanes = {16, 64};
  /// If set, returns whether a shader can run, for an artifact that is for one device. The shader has no words yet.
  /// Choices with a shader that cannot run are left out, and those after a choice for all sizes. The last choice always
  /// stays.
  std::function<bool(const fb::ShaderT &)> runs;
  /// If set, receives each kernel's name and words.
  std::function<void(const std::string &name, std::span<const uint32_t> words)> dump;
};

/// If an op, a type or a form of an operand is not supported, the error names the op and its location.
Result<fb::ProgramT> lowerToVulkan(mlir::ModuleOp planned, WeightSource &weights, BlobSink &blobs,
                                   const VulkanOptions &options = {});

} // namespace linnet
