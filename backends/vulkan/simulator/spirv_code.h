// The part of SPIR-V that the simulator understands: what Vulkan 1.1 promises for every device, and what
// kernels for some devices ask for beyond it: operations of subgroups, 16-bit arithmetic, cooperative
// matrices, texel buffers.
#pragma once
#include "backends/vulkan/simulator/opcodes.h"
#include "support/result.h"

#include <array>
#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace linnet::vulkan {

struct CodeVariable {
  Storage storage = Storage::function;
  uint32_t width = 1;    ///< words of an element
  uint32_t count = 1;    ///< elements; of a buffer 0
  uint32_t binding = 0;  ///< of a buffer
  uint32_t builtin = 0;  ///< of an input
  uint32_t at = 0;       ///< its first word among those of its storage
  bool half = false;     ///< elements are f16
  bool coherent = false; ///< a buffer that other workgroups write while this one runs
  std::string name = {};
};

/// A value or a variable that a subgroup holds together.
struct CodeMatrix {
  uint32_t rows = 0, columns = 0;
  uint32_t at = 0; ///< its first number among those of a subgroup
  uint32_t size() const { return rows * columns; }
};

struct CodeInstruction {
  Opcode op = Opcode::label;
  Extended extended = Extended::none;
  uint8_t width = 0; ///< elements of the result
  uint8_t n = 0;     ///< operands
  bool half = false; ///< the result is f16
  uint32_t result = 0;
  /// Ids; of branches numbers of instructions, of barriers the semantics. A matrix in memory: {pointer,
  /// layout, stride}, and the matrix to store.
  std::array<uint32_t, 4> in = {};
};

/// A compute shader made ready to be executed. A number of 16 bits is a register that holds it as f32.
struct SpirvCode {
  /// An error names what the simulator does not understand. The words are not trusted: what comes out refers
  /// to nothing that there is not.
  static Result<SpirvCode> parse(std::span<const std::byte> words);

  std::array<uint32_t, 3> local_size = {1, 1, 1};
  bool baseline = true;        ///< it asks for no more than every device has
  std::vector<uint32_t> slot;  ///< of each id that is a value: its first register; kNoSlot: none
  std::vector<uint8_t> widths; ///< of each id that is a value
  std::vector<std::pair<uint32_t, uint32_t>> constants; ///< register and value
  std::vector<CodeVariable> variables;
  std::vector<uint32_t>
      variable; ///< of each id that is a variable or points into it: its number; kNoSlot: none
  std::map<uint32_t, CodeMatrix> matrices;               ///< by id
  std::vector<std::pair<uint32_t, float>> full_matrices; ///< constants: id, and what each element is
  std::vector<CodeInstruction> code;
  uint32_t registers = 0, function_words = 0, workgroup_words = 0; ///< registers and variables of a lane
  uint32_t matrix_numbers = 0;                                     ///< of a subgroup
  static constexpr uint32_t kNoSlot = ~uint32_t(0);
  /// A pointer to an element, whose number is in its register; else the variable itself.
  bool isChain(uint32_t pointer) const { return slot[pointer] != kNoSlot; }
};

} // namespace linnet::vulkan
