// The probe's kernels as a program for the device "vulkan", so that the runtime executes it like a model.
#pragma once
#include "bench/limits/vulkan_kernels.h"
#include "runtime/artifact/writer.h"

namespace bench {

/// Indices of entries. Each has one symbol: the number of reads of the buffer, or of workgroups that compute.
enum Entry : int { kFill, kRead, kPeaks };

struct Kernels {
  Kernel fill, read;
  std::vector<PeakKernel> peaks; ///< entry kPeaks + i
};

/// `bytes` is the size of the buffer, a multiple of kChunk. Output 0 of each entry except kFill has the
/// kernels' results.
linnet::Result<std::unique_ptr<linnet::fb::ProgramT>> makeProgram(linnet::ArtifactWriter &writer,
                                                                  const Kernels &kernels, uint64_t bytes);
/// The largest value of the symbol: the number of workgroups that every device allows along an axis.
constexpr int64_t kMostGroups = 65535;

} // namespace bench
