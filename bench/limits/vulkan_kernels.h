// What the limits of a Vulkan device are measured with: a kernel that reads a buffer once, and kernels that
// multiply and add in registers. Made by the emitter that Linnet's own kernels are made by, so that what they
// reach is what those could reach at most.
//
// The first kChecked invocations tell what they have found, so that a driver that leaves work out is noticed.
#pragma once
#include "backends/vulkan/kernels.h"

namespace bench {

using linnet::vulkan::Kernel;
using linnet::vulkan::MatrixShape;

constexpr uint32_t kChecked = 1024, kInvocations = 128;
/// Bytes that a workgroup reads, by loads of 16 bytes.
constexpr uint32_t kChunk = 32768;

/// What fill kernels write into word `index`: odd.
constexpr uint32_t wordOf(uint32_t index) { return index * 2654435761u | 1; }
/// What the read kernel's invocation finds: the sum of its words.
uint32_t sumOf(uint32_t invocation, bool on_cpu);

/// Operand 0: the buffer, in chunks of kChunk bytes, one a workgroup in x (vulkan::kFirstUnit).
Kernel fillKernel();
/// The same, and operand 1: kChecked sums. Workgroups in y read all of it again. `on_cpu`: texels,
/// as Linnet's kernels for such drivers read, and each vector of invocations bytes that lie together: it is
/// done with them before the next one begins.
Kernel readKernel(bool on_cpu);

/// Operand 0: kChecked results, each of them `result` but for rounding.
struct PeakKernel {
  Kernel kernel;
  double operations = 0; ///< of one workgroup; a multiply-add is two
  float result = 0;
};
PeakKernel floatPeak();
/// Vectors of f16, on GPUs as Linnet's kernels that compute so: CPUs convert each number.
PeakKernel halfPeak();
/// Matrices of f16 with sums in f32, four subgroups a workgroup.
PeakKernel matrixPeak(const MatrixShape &shape);

} // namespace bench
