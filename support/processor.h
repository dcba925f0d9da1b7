// The processor's features by LLVM's names ("avx512f", "fma"), and the instruction-set levels of generated
// kernels.
#pragma once
#include "support/result.h"

#include <span>
#include <string_view>
#include <vector>

namespace linnet {

/// An instruction-set level of x86: its name and the features that its code needs beyond plain x86-64.
struct ProcessorLevel {
  std::string_view name;
  std::vector<std::string_view> features;
};

/// All levels, the best first. The last one is plain x86-64.
std::span<const ProcessorLevel> x86Levels();

/// LINNET_CPU_ISA=NAME limits the processor to that level: the code that runs, target cpu:native, and oneDNN.
inline constexpr const char *kProcessorVariable = "LINNET_CPU_ISA";

/// An error if kProcessorVariable is not the name of a level, or if the processor lacks that level.
Result<void> checkProcessorVariable();
/// The level that kProcessorVariable names, or "".
std::string_view processorLimit();

/// Whether the processor has the feature and the level of kProcessorVariable allows it. False for unknown
/// names.
bool hostHasFeature(std::string_view name);
/// The features for which hostHasFeature() is true, of those that the levels and the runtime ask for.
std::vector<std::string_view> hostFeatures();
/// The best of x86Levels() that the processor has and kProcessorVariable allows; "" on other processors.
std::string_view hostLevel();

} // namespace linnet
