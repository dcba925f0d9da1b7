// What is the same for many instructions.
#pragma once
#include "backends/vulkan/simulator/opcodes.h"

namespace linnet::vulkan {

/// How many operands are values as wide as the result; 0: none of this kind.
uint32_t elementwise(Opcode op, Extended extended);

/// What the lanes of a subgroup do together: of the operands behind scope (and kind, where it is a
/// reduction), the first is as wide as the result, the second one number.
struct SubgroupForm {
  bool is_one = false, reduces = false;
  uint32_t operands = 0;
};
SubgroupForm subgroupForm(Opcode op);

} // namespace linnet::vulkan
