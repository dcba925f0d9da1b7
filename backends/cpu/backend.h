// Target "cpu": machine code for several instruction sets, made by LLVM.
#pragma once
#include "backends/common/backend.h"

namespace linnet::cpu {

std::unique_ptr<Backend> makeBackend();

} // namespace linnet::cpu
