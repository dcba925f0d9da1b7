// Properties that many instructions share.
#pragma once
#include "backends/vulkan/simulator/opcodes.h"

namespace linnet::vulkan {

/// The number of operands if all are values as wide as the result. 0 for other instructions.
uint32_t elementwise(Opcode op, Extended extended);

/// Operations of a subgroup. Operands follow the scope, or scope and kind for a reduction. The first operand is as wide
/// as the result, the second is a scalar.
struct SubgroupForm {
  bool is_one = false, reduces = false;
  uint32_t operands = 0;
};
SubgroupForm subgroupForm(Opcode op);

} // namespace linnet::vulkan
