#include "backends/vulkan/simulator/spirv_code.h"
#include "backends/vulkan/simulator/spirv_parser.h"
#include "support/error.h"

#include <algorithm>
#include <cstring>

namespace linnet::vulkan {
namespace {

constexpr uint32_t kMostIds = 1 << 16, kMostLanes = 1024;
constexpr uint64_t kMostWords = 1 << 24;   // for all lanes together
constexpr uint32_t kMostNumbers = 1 << 16; // elements of a subgroup's matrices
constexpr uint32_t kDecorationBuiltIn = 11, kDecorationCoherent = 23, kDecorationBinding = 33,
                   kModeLocalSize = 17, kName = 5;

} // namespace

Result<SpirvCode> SpirvParser::parse() {
  constexpr size_t kHeader = 5;
  if (words.size() < kHeader || words[3] > kMostIds) return Error{"no SPIR-V that the simulator understands"};
  types.resize(words[3]);
  values.resize(words[3]);
  known.resize(words[3]);
  halves.resize(words[3]);
  made.slot.assign(words[3], SpirvCode::kNoSlot);
  made.variable.assign(words[3], SpirvCode::kNoSlot);
  made.widths.assign(words[3], 0);
  for (size_t i = kHeader; i < words.size();) {
    const uint32_t length = words[i] >> 16, op = words[i] & 0xffff;
    if (length == 0 || length > words.size() - i) return Error{"an instruction leads out of the shader"};
    opcode = static_cast<Opcode>(op);
    at = std::span(words).subspan(i + 1, length - 1);
    if (!instruction()) return errorf("the simulator does not understand instruction {} of the shader", op);
    i += length;
  }
  return finish();
}

bool SpirvParser::instruction() {
  using enum Opcode;
  switch (opcode) {
  case execution_mode:
    if (has(5) && at[1] == kModeLocalSize) made.local_size = {at[2], at[3], at[4]};
    return true;
  case ext_inst_import:
    return true; // GLSL.std.450 is the only set
  case type_bool:
  case type_int:
  case type_float:
  case type_vector:
  case type_image:
  case type_array:
  case type_runtime_array:
  case type_struct:
  case type_pointer:
  case type_matrix:
    return type();
  case constant_true:
  case constant_false:
  case constant:
    return constantValue();
  case constant_composite:
    return constantMatrix();
  case variable:
    return declare();
  default:
    // Other declarations are names, capabilities, and the begin and end of the function.
    if (!isDeclaration()) return compute();
    note();
    return true;
  }
}

bool SpirvParser::isDeclaration() const {
  const auto number = static_cast<uint16_t>(opcode);
  constexpr uint16_t kDeclarations[] = {2, 3, 4, 5, 6, 7, 8, 10, 14, 15, 17, 19, 33, 54, 56, 71, 72, 317};
  return std::ranges::find(kDeclarations, number) != std::end(kDeclarations);
}

void SpirvParser::note() {
  if (opcode == Opcode::decorate) {
    if (has(3) && at[1] == kDecorationBuiltIn) builtins[at[0]] = at[2];
    if (has(3) && at[1] == kDecorationBinding) bindings[at[0]] = at[2];
    if (has(2) && at[1] == kDecorationCoherent) coherent[at[0]] = true;
  }
  if (static_cast<uint16_t>(opcode) != kName || !has(2)) return;
  std::string name((at.size() - 1) * 4, '\0');
  std::memcpy(name.data(), at.data() + 1, name.size());
  name.resize(std::min(name.size(), name.find('\0')));
  names[at[0]] = name;
}

bool SpirvParser::define(uint32_t id, const Type &t) {
  if (!isId(id) || isValue(id) || isPointer(id) || t.width == 0 || t.width > 4) return false;
  made.slot[id] = made.registers;
  made.widths[id] = static_cast<uint8_t>(t.width);
  halves[id] = t.half;
  made.registers += t.width;
  return true;
}

bool SpirvParser::defineMatrix(uint32_t id, const Type &t) {
  if (!isId(id) || isValue(id) || t.kind != Type::matrix) return false;
  const CodeMatrix matrix{t.rows, t.columns, made.matrix_numbers};
  if (!made.matrices.emplace(id, matrix).second) return false;
  halves[id] = t.half;
  made.matrix_numbers += matrix.size();
  return made.matrix_numbers <= kMostNumbers;
}

// Replaces labels by indices of instructions.
Result<SpirvCode> SpirvParser::finish() {
  uint64_t lanes = 1;
  for (uint32_t size : made.local_size) lanes = std::min<uint64_t>(lanes * size, kMostLanes + 1);
  if (lanes * (uint64_t(made.registers) + made.function_words) > kMostWords)
    return Error{"the shader is too large for the simulator"};
  if (lanes == 0 || lanes > kMostLanes)
    return errorf("the simulator executes at most {} invocations", kMostLanes);
  for (CodeInstruction &i : made.code) {
    const bool conditional = i.op == Opcode::branch_conditional;
    if (!conditional && i.op != Opcode::branch && i.op != Opcode::selection_merge &&
        i.op != Opcode::loop_merge)
      continue;
    for (uint32_t n = conditional; n < (conditional ? 3u : i.n); ++n) {
      auto label = labels.find(i.in[n]);
      if (label == labels.end()) return Error{"the shader branches to where nothing is"};
      i.in[n] = label->second;
    }
  }
  return std::move(made);
}

Result<SpirvCode> SpirvCode::parse(std::span<const std::byte> bytes) {
  std::vector<uint32_t> words(bytes.size() / 4);
  if (!words.empty()) std::memcpy(words.data(), bytes.data(), words.size() * 4);
  return SpirvParser(std::move(words)).parse();
}

} // namespace linnet::vulkan
