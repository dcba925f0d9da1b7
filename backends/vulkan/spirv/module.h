// A SPIR-V module: sections of words in the order of the specification (SPIR-V 1.3, 2.4). Equal types and constants are
// declared once. This class knows nothing about kernels; builder.h does.
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

/// Appends one instruction: a word with length and opcode, then the operands.
void emit(Words &section, spv::Op op, std::span<const uint32_t> operands);
inline void emit(Words &section, spv::Op op, std::initializer_list<uint32_t> operands) {
  emit(section, op, std::span(operands.begin(), operands.size()));
}
/// `text` as a SPIR-V literal: UTF-8, nul-terminated, padded to whole words.
Words literal(std::string_view text);

class Module {
public:
  Id newId() { return next_id++; }

  /// Declares a capability or extension. Later calls for the same one do nothing.
  void capability(spv::Capability capability);
  void extension(std::string_view name);
  /// The id of the GLSL.std.450 import.
  Id glsl();

  void name(Id id, std::string_view text);
  void decorate(Id id, spv::Decoration decoration, std::initializer_list<uint32_t> operands = {});
  void decorateMember(Id type, uint32_t member, spv::Decoration decoration,
                      std::initializer_list<uint32_t> operands = {});
  void entryPoint(Id function, std::string_view name, std::span<const Id> interface);
  void executionMode(Id function, spv::ExecutionMode mode, std::initializer_list<uint32_t> operands);

  /// The id of a type or constant. Equal operands give the same id. In a type the result id comes first, in a constant
  /// after its type.
  Id type(spv::Op op, std::initializer_list<uint32_t> operands = {});
  Id constant(spv::Op op, Id type, std::initializer_list<uint32_t> operands = {});
  /// A type that must not be shared because its decorations distinguish it: a struct, or an array with a stride.
  Id uniqueType(spv::Op op, std::span<const uint32_t> operands);
  /// Declares a variable of module scope.
  Id variable(Id pointer_type, spv::StorageClass storage);
  /// Declares a variable with an id from an earlier newId().
  void variable(Id id, Id pointer_type, spv::StorageClass storage);

  void setMemoryModel(spv::MemoryModel model) { memory = model; }

  /// Words of function bodies, which callers append to.
  Words functions;

  /// Returns the module. `version` is a SPIR-V version, 0x00010300 for 1.3.
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
