// What the processor can do, by LLVM's names of its features ("avx512f", "fma").
#pragma once
#include <string_view>

namespace linnet::cpu {

/// False for a name that is not known.
bool hostHasFeature(std::string_view name);

} // namespace linnet::cpu
