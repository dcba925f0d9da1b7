// Target "reference": a program is the module itself, which the interpreter executes.
#pragma once
#include "backends/common/backend.h"

namespace linnet::reference {

std::unique_ptr<Backend> makeBackend();

} // namespace linnet::reference
