// Parses the instructions of the function.
#include "backends/vulkan/simulator/instruction_table.h"
#include "backends/vulkan/simulator/spirv_parser.h"

#include <algorithm>

namespace linnet::vulkan {
namespace {

constexpr uint32_t kScopeSubgroup = 3, kReduce = 0;

} // namespace

bool SpirvParser::take(CodeInstruction &i, size_t first) const {
  if (at.size() < first || at.size() - first > i.in.size()) return false;
  i.n = static_cast<uint8_t>(at.size() - first);
  std::copy(at.begin() + static_cast<ptrdiff_t>(first), at.end(), i.in.begin());
  return true;
}

bool SpirvParser::compute() {
  using enum Opcode;
  CodeInstruction i{opcode};
  bool good = false;
  switch (opcode) {
  case label:
    good = has(1) && labels.emplace(at[0], static_cast<uint32_t>(made.code.size())).second;
    break;
  case branch:
  case branch_conditional:
  case selection_merge:
  case loop_merge:
  case return_:
  case control_barrier:
  case memory_barrier:
    good = control(i);
    break;
  case store:
    good = storing(i);
    break;
  case matrix_store:
    good = has(4) && made.matrices.count(at[1]) && matrixInMemory(i, at[0], 2) &&
           halves[at[1]] == variableOf(at[0]).half;
    i.in[3] = good ? at[1] : 0;
    break;
  default:
    good = result(i);
    if (opcode == load && !i.result) return good; // a load of an image needs no instruction
  }
  if (good) made.code.push_back(i);
  return good;
}

bool SpirvParser::control(CodeInstruction &i) {
  using enum Opcode;
  if (opcode == control_barrier || opcode == memory_barrier) {
    const size_t semantics = opcode == control_barrier ? 2 : 1;
    if (!has(semantics + 1) || !isId(at[semantics]) || !known[at[semantics]]) return false;
    i.in[0] = values[at[semantics]];
    return true;
  }
  if (opcode == branch_conditional) return has(3) && take(i, 0) && isValue(at[0]) && widthOf(at[0]) == 1;
  if (opcode == selection_merge || opcode == loop_merge) {
    if (!has(2)) return false;
    at = at.first(opcode == loop_merge ? 2 : 1);
  }
  return take(i, 0) && (opcode != branch || i.n == 1);
}

bool SpirvParser::storing(CodeInstruction &i) {
  if (!has(2)) return false;
  auto to = made.matrices.find(at[0]), from = made.matrices.find(at[1]);
  if (to != made.matrices.end()) { // a store of a matrix value to a matrix variable
    if (from == made.matrices.end() || from->second.rows != to->second.rows ||
        from->second.columns != to->second.columns)
      return false;
    i = {.op = Opcode::matrix_copy, .n = 1, .result = at[0], .in = {at[1]}};
    return true;
  }
  if (!isPointer(at[0]) || !isValue(at[1]) || widthOf(at[1]) != pointee(at[0])) return false;
  at = at.first(2);
  return take(i, 0);
}

// Words of the element that a pointer points to; 0 if it is not one element.
uint32_t SpirvParser::pointee(uint32_t id) const {
  const CodeVariable &v = variableOf(id);
  const bool whole = !made.isChain(id);
  if (v.storage == Storage::texels) return 0;
  if (v.storage == Storage::buffer || v.storage == Storage::push) return whole ? 0 : v.width;
  return whole && v.count != 1 ? 0 : v.width;
}

bool SpirvParser::result(CodeInstruction &i) {
  using enum Opcode;
  if (!has(2) || !isId(at[0]) || !isId(at[1])) return false;
  if (opcode == access_chain) return chain(i);
  const Type &t = types[at[0]];
  if (t.kind == Type::matrix) return matrix(i);
  if (opcode == load && t.kind == Type::image) {
    return has(3) && isVariable(at[2]) && variableOf(at[2]).storage == Storage::texels &&
           images.emplace(at[1], at[2]).second;
  }
  if (t.kind != Type::word && t.kind != Type::vector) return false;
  i.result = at[1], i.width = static_cast<uint8_t>(t.width), i.half = t.half;
  if (subgroupForm(opcode).is_one) return subgroup(i) && define(i.result, t);
  if (opcode == image_fetch) return fetch(i) && define(i.result, t);
  if (opcode == ext_inst) {
    if (!has(5)) return false;
    i.extended = static_cast<Extended>(at[3]);
  }
  if (opcode == load) at = at.first(std::min<size_t>(at.size(), 3));
  if (!take(i, opcode == ext_inst ? 4 : 2)) return false;
  return operands(i) && define(i.result, t);
}

bool SpirvParser::operands(const CodeInstruction &i) const {
  using enum Opcode;
  auto value = [&](uint32_t n, uint32_t width) {
    return n < i.n && isValue(i.in[n]) && widthOf(i.in[n]) == width;
  };
  if (uint32_t count = elementwise(i.op, i.extended)) {
    bool good = i.n == count;
    for (uint32_t n = 0; n < count; ++n) good = good && value(n, i.width);
    // A register holds f16 as f32, so bits of f16 cannot be reinterpreted.
    return good && (i.op != bitcast || (!i.half && !halves[i.in[0]]));
  }
  switch (i.op) {
  case load:
    return i.n == 1 && isPointer(i.in[0]) && pointee(i.in[0]) == i.width;
  case composite_construct: {
    bool good = i.n == i.width;
    for (uint32_t n = 0; n < i.n; ++n) good = good && value(n, 1);
    return good;
  }
  case composite_extract:
    return i.n == 2 && isValue(i.in[0]) && i.width == 1 && i.in[1] < widthOf(i.in[0]);
  case vector_times_scalar:
    return i.n == 2 && value(0, i.width) && value(1, 1);
  case bit_extract:
  case bit_extract_signed:
    return i.n == 3 && value(0, i.width) && value(1, 1) && value(2, 1);
  case atomic_add:
  case atomic_and:
  case atomic_or:
    return i.n == 4 && isChain(i.in[0]) && pointee(i.in[0]) == 1 && value(3, 1);
  case ext_inst:
    if (i.extended == Extended::unpack_half) return i.n == 1 && i.width == 2 && value(0, 1);
    return i.extended == Extended::pack_half && i.n == 1 && i.width == 1 && value(0, 2);
  default:
    return false;
  }
}

// The operands are {variable, index}, or for a buffer {variable, 0, index}. The pointer's register holds the index of
// the element.
bool SpirvParser::chain(CodeInstruction &i) {
  if (!has(3) || !isVariable(at[2])) return false;
  const size_t indices = variableOf(at[2]).storage == Storage::buffer ? 2 : 1;
  if (at.size() != 3 + indices || !isValue(at.back()) || widthOf(at.back()) != 1) return false;
  i.result = at[1], i.width = 1, i.n = 1, i.in[0] = at.back();
  if (!define(i.result, {.kind = Type::word})) return false;
  made.variable[i.result] = made.variable[at[2]];
  return true;
}

// The operands are {scope, value}, {scope, value, lane or mask}, or {scope, kind, value}.
bool SpirvParser::subgroup(CodeInstruction &i) {
  const SubgroupForm form = subgroupForm(opcode);
  const size_t first = form.reduces ? 4 : 3;
  if (!has(first) || !isNumber(at[2], kScopeSubgroup) || (form.reduces && at[3] != kReduce)) return false;
  made.baseline = false;
  if (!take(i, first) || i.n != form.operands || !isValue(i.in[0]) || widthOf(i.in[0]) != i.width)
    return false;
  return form.operands < 2 || (isValue(i.in[1]) && widthOf(i.in[1]) == 1);
}

bool SpirvParser::fetch(CodeInstruction &i) {
  if (at.size() != 4 || i.width != 4 || i.half || !isValue(at[3]) || widthOf(at[3]) != 1) return false;
  auto image = images.find(at[2]);
  if (image == images.end()) return false;
  i.n = 2, i.in = {image->second, at[3]};
  return true;
}

bool SpirvParser::matrix(CodeInstruction &i) {
  const Type &t = types[at[0]];
  i.result = at[1];
  auto find = [&](size_t n) {
    auto found = has(n + 1) ? made.matrices.find(at[n]) : made.matrices.end();
    return found == made.matrices.end() ? CodeMatrix() : found->second;
  };
  switch (opcode) {
  case Opcode::load: // a load of a variable
    i.op = Opcode::matrix_copy, i.n = 1;
    if (find(2).rows != t.rows || find(2).columns != t.columns) return false;
    i.in[0] = at[2];
    return defineMatrix(i.result, t);
  case Opcode::matrix_load:
    return has(3) && matrixInMemory(i, at[2], 3) && t.half == variableOf(at[2]).half &&
           defineMatrix(i.result, t);
  case Opcode::matrix_multiply_add: {
    const CodeMatrix a = find(2), b = find(3), sum = find(4);
    if (!has(5) || a.rows != t.rows || a.columns != b.rows || b.columns != t.columns || sum.rows != t.rows ||
        sum.columns != t.columns)
      return false;
    i.n = 3, i.in = {at[2], at[3], at[4]};
    return defineMatrix(i.result, t);
  }
  default:
    return false;
  }
}

// A matrix in an array of scalars in shared memory. Operand `layout` and the next one, the stride, must be constants.
bool SpirvParser::matrixInMemory(CodeInstruction &i, uint32_t pointer, size_t layout) {
  if (!has(layout + 2) || !isChain(pointer)) return false;
  const CodeVariable &v = variableOf(pointer);
  if (v.storage != Storage::workgroup || v.width != 1) return false;
  for (size_t n : {layout, layout + 1})
    if (!isId(at[n]) || !known[at[n]]) return false;
  i.n = 3, i.in = {pointer, values[at[layout]], values[at[layout + 1]]};
  return i.in[1] <= 1;
}

} // namespace linnet::vulkan
