// A SPIR-V module as sections of words in the order the specification demands (SPIR-V 1.3, 2.4), with types
// and constants made once each. Knows no kernels; builder.h is what kernel generators write with.
#pragma once
#include <spirv/unified1/spirv.hpp11>

#include <cstdint>
#include <initializer_list>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::spirv {

using Id = uint32_t;
using Words = std::vector<uint32_t>;

/// Appends one instruction: word count and opcode, then the operands.
void emit(Words &section, spv::Op op, std::span<const uint32_t> operands);
inline void emit(Words &section, spv::Op op, std::initializer_list<uint32_t> operands) {
  emit(section, op, std::span(operands.begin(), operands.size()));
}
/// `text` as SPIR-V literal words: UTF-8, nul-terminated, padded.
Words literal(std::string_view text);

class Module {
public:
  Id newId() { return next_id++; }

  /// Declares what is used, once each.
  void capability(spv::Capability capability);
  void extension(std::string_view name);
  /// The GLSL.std.450 import.
  Id glsl();

  void name(Id id, std::string_view text);
  void decorate(Id id, spv::Decoration decoration, std::initializer_list<uint32_t> operands = {});
  void decorateMember(Id type, uint32_t member, spv::Decoration decoration,
                      std::initializer_list<uint32_t> operands = {});
  void entryPoint(Id function, std::string_view name, std::span<const Id> interface);
  void executionMode(Id function, spv::ExecutionMode mode, std::initializer_list<uint32_t> operands);

  /// The id of a type or constant: the same for the same operands. The result id comes first in a type and
  /// second, behind its type, in a constant.
  Id type(spv::Op op, std::initializer_list<uint32_t> operands = {});
  Id constant(spv::Op op, Id type, std::initializer_list<uint32_t> operands = {});
  /// A type that must not be shared, because decorations make it what it is (structs, arrays with a stride).
  Id uniqueType(spv::Op op, std::span<const uint32_t> operands);
  /// A module-scope variable.
  Id variable(Id pointer_type, spv::StorageClass storage);
  /// With an id that newId gave earlier.
  void variable(Id id, Id pointer_type, spv::StorageClass storage);

  void setMemoryModel(spv::MemoryModel model) { memory = model; }

  /// Function bodies go here.
  Words functions;

  /// The finished module, SPIR-V `version` as 0x00010300 for 1.3.
  Words finish(uint32_t version = 0x00010300) const;

private:
  Id next_id = 1;
  Words capabilities, extensions, imports, entry_points, execution_modes, names, decorations, globals;
  std::map<Words, Id> shared;
  std::vector<uint32_t> declared;
  std::vector<std::string> declared_extensions;
  Id glsl_id = 0;
  spv::MemoryModel memory = spv::MemoryModel::GLSL450;
};

} // namespace linnet::spirv
