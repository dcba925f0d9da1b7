// What the processor can do, by LLVM's names of its features ("avx512f", "fma"), and the instruction-set
// levels that kernels are generated for.
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

/// Best first; the last one is plain x86-64.
std::span<const ProcessorLevel> x86Levels();

/// LINNET_CPU_ISA=NAME: the processor is taken to be of that level, whatever it can do beyond it. It holds
/// for the code that runs, for what target cpu:native means and for oneDNN.
inline constexpr const char *kProcessorVariable = "LINNET_CPU_ISA";

/// An error if kProcessorVariable names no level, or one that the processor does not have.
Result<void> checkProcessorVariable();
/// The level that kProcessorVariable names, or "".
std::string_view processorLimit();

/// Does the processor have the feature, within the level that kProcessorVariable names? False for an unknown
/// name.
bool hostHasFeature(std::string_view name);

} // namespace linnet
