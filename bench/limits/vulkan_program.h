// The probe's kernels as a program for the device "vulkan": the runtime that runs models runs it.
#pragma once
#include "bench/limits/vulkan_kernels.h"
#include "runtime/artifact/writer.h"

namespace bench {

/// Entry i. Of the one symbol each: how often the buffer is read, how many workgroups compute.
enum Entry : int { kFill, kRead, kPeaks };

struct Kernels {
  Kernel fill, read;
  std::vector<PeakKernel> peaks; ///< entry kPeaks + i
};

/// `bytes`: of the buffer, a multiple of kChunk. Output 0 of each entry but kFill is what kernels tell.
linnet::Result<std::unique_ptr<linnet::fb::ProgramT>> makeProgram(linnet::ArtifactWriter &writer,
                                                                  const Kernels &kernels, uint64_t bytes);
/// The largest value of the symbol: workgroups that every device counts to along an axis.
constexpr int64_t kMostGroups = 65535;

} // namespace bench
