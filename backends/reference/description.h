// Describes target "reference" to the passes.
#pragma once
#include "passes/Target.h"

namespace linnet::reference {

const TargetDescription &description();

} // namespace linnet::reference
