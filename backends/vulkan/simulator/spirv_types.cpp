// Parses types, constants and variables.
#include "backends/vulkan/simulator/spirv_parser.h"
#include "support/half.h"

#include <bit>

namespace linnet::vulkan {
namespace {

constexpr uint32_t kMostElements = 1 << 16, kMostOfMatrix = 128, kScopeSubgroup = 3;
/// Builtins of subgroups: SubgroupSize to SubgroupLocalInvocationId.
constexpr uint32_t kFirstOfSubgroup = 36, kLastOfSubgroup = 41;

} // namespace

bool SpirvParser::type() {
  using enum Opcode;
  if (!has(1) || !isId(at[0])) return false;
  Type &t = types[at[0]];
  switch (opcode) {
  case type_bool:
    t = {Type::word};
    return true;
  case type_float:
    t = {Type::word};
    t.half = has(2) && at[1] == 16;
    if (t.half) made.baseline = false;
    return t.half || (has(2) && at[1] == 32);
  case type_int:
    t = {Type::word};
    return has(2) && at[1] == 32;
  case type_vector:
    if (!has(3) || !isId(at[1]) || types[at[1]].kind != Type::word) return false;
    t = {Type::vector, at[2]};
    t.half = types[at[1]].half;
    return t.width >= 2 && t.width <= 4;
  case type_image: // the only images are texel buffers
    t = {Type::image};
    made.baseline = false;
    return true;
  case type_array:
  case type_runtime_array:
    return arrayType(t);
  case type_struct: {
    const uint32_t first = has(2) && isId(at[1]) ? at[1] : 0;
    t = {Type::block, 1, static_cast<uint32_t>(at.size() - 1), first};
    t.half = types[first].half;
    return true;
  }
  case type_matrix:
    return matrixType(t);
  default: // case type_pointer
    if (!has(3) || !isId(at[2])) return false;
    t = {Type::pointer, 1, 1, at[2], static_cast<Storage>(at[1])};
    return true;
  }
}

bool SpirvParser::arrayType(Type &t) {
  if (!has(2) || !isId(at[1])) return false;
  const Type &element = types[at[1]];
  t = {Type::array, element.width, 0, at[1]};
  t.half = element.half;
  if (element.kind != Type::word && element.kind != Type::vector) return false;
  if (opcode == Opcode::type_runtime_array) return true;
  if (!has(3) || !isId(at[2]) || !known[at[2]]) return false;
  t.count = values[at[2]];
  return t.count > 0 && t.count <= kMostElements;
}

bool SpirvParser::matrixType(Type &t) {
  if (!has(6) || !isId(at[1]) || types[at[1]].kind != Type::word || !isNumber(at[2], kScopeSubgroup))
    return false;
  for (size_t i : {3, 4})
    if (!isId(at[i]) || !known[at[i]] || values[at[i]] == 0 || values[at[i]] > kMostOfMatrix) return false;
  t = {Type::matrix};
  t.rows = values[at[3]], t.columns = values[at[4]], t.half = types[at[1]].half;
  made.baseline = false;
  return true;
}

bool SpirvParser::constantValue() {
  const bool number = opcode == Opcode::constant;
  if (!has(number ? 3 : 2) || !isId(at[0])) return false;
  const bool half = types[at[0]].half;
  if (!define(at[1], {.kind = Type::word, .half = half})) return false;
  values[at[1]] = number ? at[2] : opcode == Opcode::constant_true;
  if (half) values[at[1]] = std::bit_cast<uint32_t>(fromHalf(static_cast<uint16_t>(at[2])));
  known[at[1]] = true;
  made.constants.emplace_back(made.slot[at[1]], values[at[1]]);
  return true;
}

// A constant matrix has the same value in all elements.
bool SpirvParser::constantMatrix() {
  if (at.size() != 3 || !isId(at[0]) || !isId(at[2]) || !known[at[2]]) return false;
  if (!defineMatrix(at[1], types[at[0]])) return false;
  made.full_matrices.emplace_back(at[1], std::bit_cast<float>(values[at[2]]));
  return true;
}

bool SpirvParser::declare() {
  // Variables with an initializer are not supported.
  if (at.size() != 3 || !isId(at[0]) || !isId(at[1]) || types[at[0]].kind != Type::pointer) return false;
  const Type &t = types[types[at[0]].element];
  CodeVariable v{types[at[0]].storage, t.width, t.count};
  if (t.kind == Type::matrix) return v.storage == Storage::function && defineMatrix(at[1], t);
  v.half = t.half;
  if (isPointer(at[1]) || isValue(at[1]) || !place(v, t) || v.width > 4) return false;
  if (auto name = names.find(at[1]); name != names.end()) v.name = name->second;
  made.variable[at[1]] = static_cast<uint32_t>(made.variables.size());
  made.variables.push_back(std::move(v));
  return true;
}

bool SpirvParser::place(CodeVariable &v, const Type &t) {
  switch (v.storage) {
  case Storage::buffer: {
    const Type &array = types[t.element];
    if (t.kind != Type::block || array.kind != Type::array || v.half) return false;
    v.width = array.width, v.count = 0, v.binding = bindings[at[1]], v.coherent = coherent.count(at[1]);
    return true;
  }
  case Storage::texels:
    v.width = 4, v.count = 0, v.binding = bindings[at[1]];
    return t.kind == Type::image;
  case Storage::push:
    return t.kind == Type::block && !v.half;
  case Storage::input:
    v.builtin = builtins[at[1]];
    if (v.builtin >= kFirstOfSubgroup && v.builtin <= kLastOfSubgroup) made.baseline = false;
    return true;
  case Storage::function:
  case Storage::workgroup: {
    if (t.kind != Type::word && t.kind != Type::vector && t.kind != Type::array) return false;
    uint32_t &words_of = v.storage == Storage::function ? made.function_words : made.workgroup_words;
    v.at = words_of;
    words_of += v.width * v.count;
    return words_of <= kMostElements;
  }
  default:
    return false;
  }
}

} // namespace linnet::vulkan
