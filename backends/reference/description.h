// What passes know of target "reference".
#pragma once
#include "passes/Target.h"

namespace linnet::reference {

const TargetDescription &description();

} // namespace linnet::reference
