// Kernels that measure the limits of a Vulkan device: one reads a buffer, others multiply and add in
// registers. Linnet's emitter generates them, so their rates are upper limits for Linnet's kernels.
//
// The first kChecked invocations store their results, so that a driver that skips work is detected.
#pragma once
#include "backends/vulkan/kernels.h"

namespace bench {

using linnet::vulkan::Kernel;
using linnet::vulkan::MatrixShape;

constexpr uint32_t kChecked = 1024, kInvocations = 128;
/// Bytes that a workgroup reads, in loads of 16 bytes.
constexpr uint32_t kChunk = 32768;

/// The word that fill kernels write at `index`. It is odd.
constexpr uint32_t wordOf(uint32_t index) { return index * 2654435761u | 1; }
/// The result of an invocation of the read kernel: the sum of its words.
uint32_t sumOf(uint32_t invocation, bool on_cpu);

/// Operand 0: the buffer, in chunks of kChunk bytes, one per workgroup in x (vulkan::kFirstUnit).
Kernel fillKernel();
/// The same, and operand 1: kChecked sums. Workgroups in y read the whole buffer again. `on_cpu`: reads
/// texels, like Linnet's kernels for such drivers. Each vector of invocations reads adjacent bytes, because
/// it finishes before the next vector begins.
Kernel readKernel(bool on_cpu);

/// Operand 0: kChecked results, each `result` up to rounding.
struct PeakKernel {
  Kernel kernel;
  double operations = 0; ///< of one workgroup; a multiply-add is two
  float result = 0;
};
PeakKernel floatPeak();
/// Vectors of f16, for GPUs only, like Linnet's kernels in 16-bit arithmetic: CPUs convert each number.
PeakKernel halfPeak();
/// Matrices of f16 with sums in f32, four subgroups per workgroup.
PeakKernel matrixPeak(const MatrixShape &shape);

} // namespace bench
