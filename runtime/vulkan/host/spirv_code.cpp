#include "runtime/vulkan/host/spirv_code.h"
#include "support/error.h"

#include <algorithm>
#include <cstring>

namespace linnet::vulkan {
namespace {

constexpr uint32_t kMostIds = 1 << 16, kMostElements = 1 << 16, kMostLanes = 1024;
constexpr uint64_t kMostWords = 1 << 24; // of all lanes
constexpr uint32_t kDecorationBuiltIn = 11, kDecorationBinding = 33, kModeLocalSize = 17;

struct CodeType {
  enum Kind : uint8_t { none, word, vector, array, block, pointer } kind = none;
  uint32_t width = 1;   // words of an element
  uint32_t count = 1;   // elements of an array; members of a block
  uint32_t element = 0; // of a block its first member
  Storage storage = Storage::function;
};

// How many operands are values as wide as the result; 0: none of this kind.
uint32_t elementwise(Opcode op, Extended extended) {
  using enum Opcode;
  switch (op) {
  case convert_f_to_u:
  case convert_f_to_s:
  case convert_s_to_f:
  case convert_u_to_f:
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
  case E::tanh:
  case E::exp:
  case E::log:
  case E::exp2:
  case E::sqrt:
  case E::inverse_sqrt:
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

class Parser {
public:
  explicit Parser(std::vector<uint32_t> words) : words(std::move(words)) {}

  Result<SpirvCode> parse() {
    constexpr size_t kHeader = 5;
    if (words.size() < kHeader || words[3] > kMostIds) return Error{"no SPIR-V that the host understands"};
    types.resize(words[3]);
    values.resize(words[3]);
    known.resize(words[3]);
    made.slot.assign(words[3], SpirvCode::kNoSlot);
    made.widths.assign(words[3], 0);
    for (size_t i = kHeader; i < words.size();) {
      const uint32_t length = words[i] >> 16, op = words[i] & 0xffff;
      if (length == 0 || length > words.size() - i) return Error{"an instruction leads out of the shader"};
      opcode = static_cast<Opcode>(op);
      at = std::span(words).subspan(i + 1, length - 1);
      if (!instruction()) return errorf("the host does not understand instruction {} of the shader", op);
      i += length;
    }
    return finish();
  }

private:
  bool has(size_t n) const { return at.size() >= n; }
  bool isId(uint32_t id) const { return id > 0 && id < types.size(); }
  bool isValue(uint32_t id) const { return isId(id) && made.slot[id] != SpirvCode::kNoSlot; }
  uint32_t widthOf(uint32_t id) const { return made.widths[id]; }

  bool define(uint32_t id, uint32_t width) {
    if (!isId(id) || isValue(id) || width == 0 || width > 4) return false;
    made.slot[id] = made.registers;
    made.widths[id] = static_cast<uint8_t>(width);
    made.registers += width;
    return true;
  }

  bool instruction() {
    using enum Opcode;
    switch (opcode) {
    case execution_mode:
      if (has(5) && at[1] == kModeLocalSize) made.local_size = {at[2], at[3], at[4]};
      return true;
    case decorate:
      if (has(3) && at[1] == kDecorationBuiltIn) builtins[at[0]] = at[2];
      if (has(3) && at[1] == kDecorationBinding) bindings[at[0]] = at[2];
      return true;
    case ext_inst_import:
      return true; // there is but GLSL.std.450
    case type_bool:
    case type_int:
    case type_float:
    case type_vector:
    case type_array:
    case type_runtime_array:
    case type_struct:
    case type_pointer:
      return type();
    case constant_true:
    case constant_false:
    case constant:
      return constantValue();
    case variable:
      return declare();
    default:
      // Names, capabilities, the function's begin and end: numbers below those of what computes.
      return isDeclaration() || compute();
    }
  }

  bool isDeclaration() const {
    const auto number = static_cast<uint16_t>(opcode);
    constexpr uint16_t kDeclarations[] = {2, 3, 4, 5, 6, 7, 8, 10, 14, 15, 17, 19, 33, 54, 56, 72, 317};
    return std::ranges::find(kDeclarations, number) != std::end(kDeclarations);
  }

  bool type() {
    using enum Opcode;
    if (!has(1) || !isId(at[0])) return false;
    CodeType &t = types[at[0]];
    auto elementOf = [&](size_t i) { return has(i + 1) && isId(at[i]) ? at[i] : 0; };
    switch (opcode) {
    case type_bool:
      t = {CodeType::word};
      return true;
    case type_int:
    case type_float:
      t = {CodeType::word};
      return has(2) && at[1] == 32;
    case type_vector:
      t = {CodeType::vector, has(3) ? at[2] : 0};
      return t.width >= 2 && t.width <= 4;
    case type_array:
    case type_runtime_array: {
      const uint32_t element = elementOf(1);
      if (!element) return false;
      t = {CodeType::array, types[element].width, 0, element};
      if (opcode == type_runtime_array) return true;
      if (!has(3) || !isId(at[2]) || !known[at[2]]) return false;
      t.count = values[at[2]];
      return t.count > 0 && t.count <= kMostElements;
    }
    case type_struct:
      t = {CodeType::block, 1, static_cast<uint32_t>(at.size() - 1), elementOf(1)};
      return true;
    default: // type_pointer
      if (!has(3) || !elementOf(2)) return false;
      t = {CodeType::pointer, 1, 1, at[2], static_cast<Storage>(at[1])};
      return true;
    }
  }

  bool constantValue() {
    const bool number = opcode == Opcode::constant;
    if (!has(number ? 3 : 2) || !isId(at[0]) || !define(at[1], 1)) return false;
    values[at[1]] = number ? at[2] : opcode == Opcode::constant_true;
    known[at[1]] = true;
    made.constants.emplace_back(made.slot[at[1]], values[at[1]]);
    return true;
  }

  bool declare() {
    // Without a value to begin with.
    if (at.size() != 3 || !isId(at[0]) || !isId(at[1]) || types[at[0]].kind != CodeType::pointer)
      return false;
    const CodeType &t = types[types[at[0]].element];
    CodeVariable v{types[at[0]].storage, t.width, t.count};
    switch (v.storage) {
    case Storage::buffer: {
      const CodeType &array = types[t.element];
      if (t.kind != CodeType::block || array.kind != CodeType::array) return false;
      v.width = array.width, v.count = 0, v.binding = bindings[at[1]];
      break;
    }
    case Storage::push:
      if (t.kind != CodeType::block) return false;
      break;
    case Storage::input:
      v.builtin = builtins[at[1]];
      break;
    case Storage::function:
    case Storage::workgroup: {
      if (t.kind != CodeType::word && t.kind != CodeType::vector && t.kind != CodeType::array) return false;
      uint32_t &words_of = v.storage == Storage::function ? made.function_words : made.workgroup_words;
      v.at = words_of;
      words_of += v.width * v.count;
      if (words_of > kMostElements) return false;
      break;
    }
    default:
      return false;
    }
    return v.width <= 4 && made.variables.emplace(at[1], v).second;
  }

  bool compute() {
    using enum Opcode;
    CodeInstruction i{opcode};
    auto take = [&](size_t first) {
      if (at.size() < first || at.size() - first > i.in.size()) return false;
      i.n = static_cast<uint8_t>(at.size() - first);
      std::copy(at.begin() + static_cast<ptrdiff_t>(first), at.end(), i.in.begin());
      return true;
    };
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
      good = control(i, take);
      break;
    case control_barrier:
    case memory_barrier:
      return true; // all lanes do the same at the same time
    case store:
      good = has(2) && isPointer(at[0]) && isValue(at[1]) && widthOf(at[1]) == pointee(at[0]);
      at = at.first(std::min<size_t>(at.size(), 2));
      good &= take(0);
      break;
    default:
      good = result(i, take);
    }
    if (good) made.code.push_back(i);
    return good;
  }

  template <class Take> bool control(CodeInstruction &i, const Take &take) {
    using enum Opcode;
    if (opcode == branch_conditional) return has(3) && take(0) && isValue(at[0]) && widthOf(at[0]) == 1;
    if (opcode == selection_merge || opcode == loop_merge) {
      if (!has(2)) return false;
      at = at.first(opcode == loop_merge ? 2 : 1);
    }
    return take(0) && (opcode != branch || i.n == 1);
  }

  bool isPointer(uint32_t id) const { return made.chains.count(id) || made.variables.count(id); }
  // Words at what a pointer points to.
  uint32_t pointee(uint32_t id) const {
    auto chain = made.chains.find(id);
    const CodeVariable &v = made.variables.at(chain == made.chains.end() ? id : chain->second);
    const bool whole = chain == made.chains.end();
    if (v.storage == Storage::buffer || v.storage == Storage::push) return whole ? 0 : v.width;
    return whole && v.count != 1 ? 0 : v.width;
  }

  template <class Take> bool result(CodeInstruction &i, const Take &take) {
    using enum Opcode;
    if (!has(2) || !isId(at[0]) || !isId(at[1])) return false;
    if (opcode == access_chain) return chain(i);
    const CodeType &t = types[at[0]];
    if (t.kind != CodeType::word && t.kind != CodeType::vector) return false;
    i.result = at[1], i.width = static_cast<uint8_t>(t.width);
    if (opcode == ext_inst) {
      if (!has(5)) return false;
      i.extended = static_cast<Extended>(at[3]);
    }
    if (opcode == load) at = at.first(std::min<size_t>(at.size(), 3));
    if (!take(opcode == ext_inst ? 4 : 2)) return false;
    return operands(i) && define(i.result, i.width);
  }

  bool operands(CodeInstruction &i) {
    using enum Opcode;
    auto value = [&](uint32_t n, uint32_t width) {
      return n < i.n && isValue(i.in[n]) && widthOf(i.in[n]) == width;
    };
    if (uint32_t count = elementwise(i.op, i.extended)) {
      bool good = i.n == count;
      for (uint32_t n = 0; n < count; ++n) good = good && value(n, i.width);
      return good;
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
    case dot:
      return i.n == 2 && i.width == 1 && isValue(i.in[0]) && value(1, widthOf(i.in[0]));
    case bit_extract:
    case bit_extract_signed:
      return i.n == 3 && value(0, i.width) && value(1, 1) && value(2, 1);
    case atomic_add:
    case atomic_and:
    case atomic_or:
      return i.n == 4 && made.chains.count(i.in[0]) && pointee(i.in[0]) == 1 && value(3, 1);
    case ext_inst:
      if (i.extended == Extended::unpack_half) return i.n == 1 && i.width == 2 && value(0, 1);
      return i.extended == Extended::pack_half && i.n == 1 && i.width == 1 && value(0, 2);
    default:
      return false;
    }
  }

  // A pointer's register holds the element's number: {variable, index}, of a buffer {variable, 0, index}.
  bool chain(CodeInstruction &i) {
    auto v = has(3) ? made.variables.find(at[2]) : made.variables.end();
    if (v == made.variables.end()) return false;
    const size_t indices = v->second.storage == Storage::buffer ? 2 : 1;
    if (at.size() != 3 + indices || !isValue(at.back()) || widthOf(at.back()) != 1) return false;
    i.result = at[1], i.width = 1, i.n = 1, i.in[0] = at.back();
    made.chains[at[1]] = at[2];
    return define(i.result, 1);
  }

  // Labels become numbers of instructions.
  Result<SpirvCode> finish() {
    uint64_t lanes = 1;
    for (uint32_t size : made.local_size) lanes = std::min<uint64_t>(lanes * size, kMostLanes + 1);
    if (lanes * (uint64_t(made.registers) + made.function_words) > kMostWords)
      return Error{"the shader is too large for the host"};
    if (lanes == 0 || lanes > kMostLanes)
      return errorf("the host executes at most {} invocations", kMostLanes);
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

  std::vector<uint32_t> words;
  Opcode opcode = Opcode::label;
  std::span<const uint32_t> at; // the operands
  std::vector<CodeType> types;
  std::vector<uint32_t> values; // of constants
  std::vector<bool> known;
  std::map<uint32_t, uint32_t> builtins, bindings, labels;
  SpirvCode made;
};

} // namespace

Result<SpirvCode> SpirvCode::parse(std::span<const std::byte> bytes) {
  std::vector<uint32_t> words(bytes.size() / 4);
  if (!words.empty()) std::memcpy(words.data(), bytes.data(), words.size() * 4);
  return Parser(std::move(words)).parse();
}

} // namespace linnet::vulkan
