// What of SPIR-V the host understands: that in which kernels for any device are written, which is what
// Vulkan 1.1 promises. Numbers are of the specification; runtime/ is built without its headers.
#pragma once
#include "support/result.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

namespace linnet::vulkan {

// clang-format off: tables
enum class Opcode : uint16_t {
  ext_inst_import = 11,
  ext_inst = 12,
  execution_mode = 16,
  type_bool = 20,
  type_int = 21,
  type_float = 22,
  type_vector = 23,
  type_array = 28,
  type_runtime_array = 29,
  type_struct = 30,
  type_pointer = 32,
  constant_true = 41,
  constant_false = 42,
  constant = 43,
  function_parameter = 55,
  function_call = 57,
  variable = 59,
  load = 61,
  store = 62,
  access_chain = 65,
  decorate = 71,
  composite_construct = 80,
  composite_extract = 81,
  convert_f_to_u = 109,
  convert_f_to_s = 110,
  convert_s_to_f = 111,
  convert_u_to_f = 112,
  bitcast = 124,
  s_negate = 126,
  f_negate = 127,
  i_add = 128,
  f_add = 129,
  i_sub = 130,
  f_sub = 131,
  i_mul = 132,
  f_mul = 133,
  u_div = 134,
  s_div = 135,
  f_div = 136,
  u_mod = 137,
  s_mod = 139,
  vector_times_scalar = 142,
  dot = 148,
  logical_or = 166,
  logical_and = 167,
  logical_not = 168,
  select = 169,
  i_equal = 170,
  i_not_equal = 171,
  u_less = 176,
  s_less = 177,
  u_less_equal = 178,
  s_less_equal = 179,
  f_equal = 180,
  f_not_equal = 183,
  f_less = 184,
  f_less_equal = 188,
  shift_right = 194,
  shift_right_signed = 195,
  shift_left = 196,
  bit_or = 197,
  bit_xor = 198,
  bit_and = 199,
  bit_not = 200,
  bit_extract_signed = 202,
  bit_extract = 203,
  control_barrier = 224,
  memory_barrier = 225,
  atomic_add = 234,
  atomic_and = 240,
  atomic_or = 241,
  loop_merge = 246,
  selection_merge = 247,
  label = 248,
  branch = 249,
  branch_conditional = 250,
  return_ = 253,
};

/// Instructions of GLSL.std.450.
enum class Extended : uint16_t {
  none = 0,
  round_even = 2,
  f_abs = 4,
  s_abs = 5,
  floor = 8,
  tanh = 21,
  exp = 27,
  log = 28,
  exp2 = 29,
  sqrt = 31,
  inverse_sqrt = 32,
  f_min = 37,
  u_min = 38,
  s_min = 39,
  f_max = 40,
  u_max = 41,
  s_max = 42,
  pack_half = 58,
  unpack_half = 62,
};
// clang-format on

/// Where a variable is. The numbers are SPIR-V's.
enum class Storage : uint8_t { input = 1, workgroup = 4, function = 7, push = 9, buffer = 12 };

struct CodeVariable {
  Storage storage = Storage::function;
  uint32_t width = 1;   ///< words of an element
  uint32_t count = 1;   ///< elements; of a buffer 0
  uint32_t binding = 0; ///< of a buffer
  uint32_t builtin = 0; ///< of an input
  uint32_t at = 0;      ///< its first word among those of its storage
};

struct CodeInstruction {
  Opcode op = Opcode::label;
  Extended extended = Extended::none;
  uint8_t width = 0; ///< elements of the result
  uint8_t n = 0;     ///< operands
  uint32_t result = 0;
  std::array<uint32_t, 4> in = {}; ///< ids; of branches numbers of instructions
};

/// A compute shader made ready to be executed.
struct SpirvCode {
  /// An error says what the host does not understand. The words are not trusted: what comes out refers to
  /// nothing that there is not.
  static Result<SpirvCode> parse(std::span<const std::byte> words);

  std::array<uint32_t, 3> local_size = {1, 1, 1};
  std::vector<uint32_t> slot;  ///< of each id that is a value: its first register; kNoSlot: none
  std::vector<uint8_t> widths; ///< of each id that is a value
  std::vector<std::pair<uint32_t, uint32_t>> constants; ///< register and value
  std::map<uint32_t, CodeVariable> variables;           ///< by id
  std::map<uint32_t, uint32_t> chains; ///< the variable of a pointer; its index is in the pointer's register
  std::vector<CodeInstruction> code;
  uint32_t registers = 0, function_words = 0, workgroup_words = 0; ///< registers and variables of a lane
  static constexpr uint32_t kNoSlot = ~uint32_t(0);
};

} // namespace linnet::vulkan
