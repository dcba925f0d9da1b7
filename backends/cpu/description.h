// Describes target "cpu" to the passes.
#pragma once
#include "passes/Target.h"

namespace linnet::cpu {

const TargetDescription &description();

} // namespace linnet::cpu
