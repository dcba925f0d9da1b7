// Parses a shader's words into SpirvCode. The words may have any content.
#pragma once
#include "backends/vulkan/simulator/spirv_code.h"

namespace linnet::vulkan {

class SpirvParser {
public:
  explicit SpirvParser(std::vector<uint32_t> words) : words(std::move(words)) {}
  Result<SpirvCode> parse();

private:
  struct Type {
    enum Kind : uint8_t { none, word, vector, array, block, pointer, image, matrix } kind = none;
    uint32_t width = 1;   // words of an element
    uint32_t count = 1;   // elements of an array, or members of a block
    uint32_t element = 0; // type of an element, or of a block's first member
    Storage storage = Storage::function;
    bool half = false;              // elements are f16
    uint32_t rows = 0, columns = 0; // sizes of a matrix
  };

  bool has(size_t n) const { return at.size() >= n; }
  bool isId(uint32_t id) const { return id > 0 && id < types.size(); }
  bool isValue(uint32_t id) const { return isId(id) && made.slot[id] != SpirvCode::kNoSlot; }
  bool isNumber(uint32_t id, uint32_t is) const { return isId(id) && known[id] && values[id] == is; }
  uint32_t widthOf(uint32_t id) const { return made.widths[id]; }
  bool isPointer(uint32_t id) const { return isId(id) && made.variable[id] != SpirvCode::kNoSlot; }
  bool isVariable(uint32_t id) const { return isPointer(id) && !made.isChain(id); }
  bool isChain(uint32_t id) const { return isPointer(id) && made.isChain(id); }
  const CodeVariable &variableOf(uint32_t pointer) const { return made.variables[made.variable[pointer]]; }
  uint32_t pointee(uint32_t id) const;

  bool instruction();
  void note(); // records names and decorations
  bool isDeclaration() const;
  bool define(uint32_t id, const Type &type);
  bool defineMatrix(uint32_t id, const Type &type);
  Result<SpirvCode> finish();

  // spirv_types.cpp
  bool type();
  bool arrayType(Type &t);
  bool matrixType(Type &t);
  bool constantValue();
  bool constantMatrix();
  bool declare();
  bool place(CodeVariable &v, const Type &t);

  // spirv_body.cpp
  bool compute();
  bool control(CodeInstruction &i);
  bool storing(CodeInstruction &i);
  bool result(CodeInstruction &i);
  bool operands(const CodeInstruction &i) const;
  bool chain(CodeInstruction &i);
  bool subgroup(CodeInstruction &i);
  bool fetch(CodeInstruction &i);
  bool matrix(CodeInstruction &i);
  bool matrixInMemory(CodeInstruction &i, uint32_t pointer, size_t layout);
  bool take(CodeInstruction &i, size_t first) const;

  std::vector<uint32_t> words;
  Opcode opcode = Opcode::label;
  std::span<const uint32_t> at; // operands of the current instruction
  std::vector<Type> types;
  std::vector<uint32_t> values;    // values of constants
  std::vector<bool> known, halves; // known: the id is a constant; halves: the id is a value of f16
  std::map<uint32_t, uint32_t> builtins, bindings, labels, images;
  std::map<uint32_t, bool> coherent;
  std::map<uint32_t, std::string> names;
  SpirvCode made;
};

} // namespace linnet::vulkan
