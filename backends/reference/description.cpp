#include "backends/reference/description.h"

namespace linnet::reference {

const TargetDescription &description() {
  static const TargetDescription target = {.name = "reference"};
  return target;
}

} // namespace linnet::reference
