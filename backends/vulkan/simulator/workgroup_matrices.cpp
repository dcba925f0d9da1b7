// Matrices of a subgroup (SPV_KHR_cooperative_matrix). A device decides which lane holds which element. Here the
// subgroup holds them.
#include "backends/vulkan/simulator/workgroup.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

namespace linnet::vulkan {

float *Workgroup::matrix(uint32_t id, uint32_t subgroup) {
  const CodeMatrix &m = code.matrices.at(id);
  return matrix_file.data() + size_t(m.at) * subgroups() + size_t(subgroup) * m.size();
}

// The cost of an instruction, in steps of a lane.
uint64_t Workgroup::costOf(const CodeInstruction &i) const {
  const uint64_t usual = uint64_t(std::max<uint32_t>(i.width, 1)) * lanes;
  if (i.op < Opcode::type_matrix) return usual;
  const bool store = i.op == Opcode::matrix_store, product = i.op == Opcode::matrix_multiply_add;
  const uint64_t depth = product ? code.matrices.at(i.in[0]).columns : 1;
  return usual + code.matrices.at(store ? i.in[3] : i.result).size() * depth * subgroups();
}

bool Workgroup::matrices(const CodeInstruction &i) {
  using enum Opcode;
  if (i.op < type_matrix) return false;
  for (uint32_t subgroup = 0; subgroup < subgroups(); ++subgroup) {
    const uint32_t first = subgroup * subgroupSize(), end = std::min(lanes, first + subgroupSize());
    const auto here = std::count(mask.begin() + first, mask.begin() + end, 1);
    if (!here) continue;
    if (call.watch && (here < end - first || end - first < subgroupSize()))
      call.watch->report(
          fmt::format("a matrix held by {} of a subgroup's {} invocations", here, subgroupSize()));
    if (i.op == matrix_copy)
      std::copy_n(matrix(i.in[0], subgroup), code.matrices.at(i.in[0]).size(), matrix(i.result, subgroup));
    else if (i.op == matrix_multiply_add)
      multiplyAdd(i, subgroup);
    else
      moveMatrix(i, subgroup);
  }
  return true;
}

// Copies a matrix to or from shared memory. It begins at the element that the pointer points to, which must be the same
// for all lanes.
void Workgroup::moveMatrix(const CodeInstruction &i, uint32_t subgroup) {
  const bool store = i.op == Opcode::matrix_store, column_major = i.in[1] == 1;
  const uint32_t id = store ? i.in[3] : i.result, first = subgroup * subgroupSize();
  const CodeMatrix &m = code.matrices.at(id);
  const CodeVariable &v = variableOf(i.in[0]);
  const uint32_t *index = reg(i.in[0]) + first, *end = index + std::min(subgroupSize(), lanes - first);
  if (call.watch && std::any_of(index, end, [&](uint32_t x) { return x != *index; }))
    call.watch->report("invocations of a subgroup mean different matrices");
  float *to = matrix(id, subgroup);
  for (uint32_t row = 0; row < m.rows; ++row)
    for (uint32_t column = 0; column < m.columns; ++column) {
      const uint64_t line = column_major ? column : row, along = column_major ? row : column;
      const uint64_t element = *index + line * i.in[2] + along, word = v.at + element;
      if (element >= v.count) {
        outside(first, v, word);
        continue;
      }
      float &number = to[row * m.columns + column];
      if (call.watch)
        touch(store ? Watch::Access::write : Watch::Access::read, call.watch->unitOfAll(subgroup), v,
              &workgroup_log[word], word);
      if (store)
        workgroup[word] = std::bit_cast<uint32_t>(number), workgroup_known[word] = !tainted[first];
      else
        number = std::bit_cast<float>(workgroup[word]);
      if (!store && !workgroup_known[word]) taint(first);
    }
}

void Workgroup::multiplyAdd(const CodeInstruction &i, uint32_t subgroup) {
  const CodeMatrix &shape = code.matrices.at(i.result);
  const uint32_t depth = code.matrices.at(i.in[0]).columns;
  const float *a = matrix(i.in[0], subgroup), *b = matrix(i.in[1], subgroup), *c = matrix(i.in[2], subgroup);
  float *r = matrix(i.result, subgroup);
  for (uint32_t row = 0; row < shape.rows; ++row)
    for (uint32_t column = 0; column < shape.columns; ++column) {
      float sum = c[row * shape.columns + column];
      for (uint32_t k = 0; k < depth; ++k) sum += a[row * depth + k] * b[k * shape.columns + column];
      r[row * shape.columns + column] = sum;
    }
}

} // namespace linnet::vulkan
