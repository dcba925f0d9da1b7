// The vulkan backend's door: a planned module of the linnet dialect becomes a Program of dispatches.
//
//   fb::ProgramT program = *lowerToVulkan(module, checkpoint, sink, {});
//
// `planned`: what the pass pipeline makes for target "vulkan" (passes/Plan.h). Each op becomes a dispatch of
// a generated kernel, with a choice of kernels where devices differ; equal kernels are one. Weights stream
// from `weights` through packing into `sink`, then the SPIR-V words.
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
  /// What each device binds at once, in bytes: matmuls of larger matrices are cut up.
  uint64_t binding = uint64_t(1) << 27;
  /// Products in f16 that prompts of models with weights in fewer bits than f32 may use: {M, N, K, the size
  /// of subgroups}. NVIDIA's and AMD's; a test asks for others.
  std::vector<std::array<uint32_t, 4>> matrices = {{16, 16, 16, 32}, {16, 16, 16, 64}};
  /// Sizes of subgroups whose lanes share out the products of few rows on a GPU, the least and the most; a
  /// test asks for others.
  std::array<uint32_t, 2> lanes = {16, 64};
  /// When set, says whether a shader (its words are not there yet) can run: for one device's own artifact.
  /// Left out are choices with a shader that cannot, and those behind one that is for all sizes, but for the
  /// last.
  std::function<bool(const fb::ShaderT &)> runs;
  /// When set, receives each kernel's name and words.
  std::function<void(const std::string &name, std::span<const uint32_t> words)> dump;
};

/// The error names the op and its location where an op, a type or a form of an operand is not supported.
Result<fb::ProgramT> lowerToVulkan(mlir::ModuleOp planned, WeightSource &weights, BlobSink &blobs,
                                   const VulkanOptions &options = {});

} // namespace linnet
