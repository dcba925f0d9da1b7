#include "backends/vulkan/simulator/instruction_table.h"

namespace linnet::vulkan {

uint32_t elementwise(Opcode op, Extended extended) {
  using enum Opcode;
  switch (op) {
  case convert_f_to_u:
  case convert_f_to_s:
  case convert_s_to_f:
  case convert_u_to_f:
  case f_convert:
  case bitcast:
  case s_negate:
  case f_negate:
  case logical_not:
  case bit_not:
    return 1;
  case i_add:
  case f_add:
  case i_sub:
  case f_sub:
  case i_mul:
  case f_mul:
  case u_div:
  case s_div:
  case f_div:
  case u_mod:
  case s_mod:
  case logical_or:
  case logical_and:
  case i_equal:
  case i_not_equal:
  case u_less:
  case s_less:
  case u_less_equal:
  case s_less_equal:
  case f_equal:
  case f_not_equal:
  case f_less:
  case f_less_equal:
  case shift_right:
  case shift_right_signed:
  case shift_left:
  case bit_or:
  case bit_xor:
  case bit_and:
    return 2;
  case select:
    return 3;
  case ext_inst:
    break;
  default:
    return 0;
  }
  using E = Extended;
  switch (extended) {
  case E::round_even:
  case E::f_abs:
  case E::s_abs:
  case E::floor:
  case E::sqrt:
    return 1;
  case E::f_min:
  case E::u_min:
  case E::s_min:
  case E::f_max:
  case E::u_max:
  case E::s_max:
    return 2;
  default:
    return 0;
  }
}

SubgroupForm subgroupForm(Opcode op) {
  switch (op) {
    using enum Opcode;
  case group_broadcast_first:
    return {true, false, 1};
  case group_broadcast:
  case group_shuffle:
  case group_shuffle_xor:
    return {true, false, 2};
  case group_i_add:
  case group_f_add:
  case group_s_min:
  case group_u_min:
  case group_f_min:
  case group_s_max:
  case group_u_max:
  case group_f_max:
    return {true, true, 1};
  default:
    return {};
  }
}

} // namespace linnet::vulkan
