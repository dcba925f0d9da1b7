// What passes know of target "cpu".
#pragma once
#include "passes/Target.h"

namespace linnet::cpu {

const TargetDescription &description();

} // namespace linnet::cpu
