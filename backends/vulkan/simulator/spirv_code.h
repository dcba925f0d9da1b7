// The part of SPIR-V that the simulator supports. Vulkan 1.1 requires most of it from every device. Kernels for some
// devices also need operations of subgroups, 16-bit arithmetic, cooperative matrices and texel buffers.
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
  uint32_t count = 1;    ///< number of elements; 0 for a buffer
  uint32_t binding = 0;  ///< for a buffer
  uint32_t builtin = 0;  ///< for an input
  uint32_t at = 0;       ///< offset of the first word in its storage class
  bool half = false;     ///< elements are f16
  bool coherent = false; ///< a buffer that other workgroups write at the same time
  std::string name = {};
};

/// A matrix value or variable, which a subgroup holds together.
struct CodeMatrix {
  uint32_t rows = 0, columns = 0;
  uint32_t at = 0; ///< offset of the first element among those of a subgroup
  uint32_t size() const { return rows * columns; }
};

struct CodeInstruction {
  Opcode op = Opcode::label;
  Extended extended = Extended::none;
  uint8_t width = 0; ///< elements of the result
  uint8_t n = 0;     ///< number of operands
  bool half = false; ///< the result is f16
  uint32_t result = 0;
  /// Ids. For branches, indices of instructions; for barriers, the semantics. For a matrix in memory, {pointer, layout,
  /// stride, matrix to store}.
  std::array<uint32_t, 4> in = {};
};

/// A compute shader in a form for execution. A register holds a 16-bit float as f32.
struct SpirvCode {
  /// Parses a shader. The words may have any content: the result has no invalid reference. Errors name what the
  /// simulator does not support.
  static Result<SpirvCode> parse(std::span<const std::byte> words);

  std::array<uint32_t, 3> local_size = {1, 1, 1};
  bool baseline = true;        ///< needs only what every device has
  std::vector<uint32_t> slot;  ///< first register of each id that is a value, or kNoSlot
  std::vector<uint8_t> widths; ///< width of each id that is a value
  std::vector<std::pair<uint32_t, uint32_t>> constants; ///< pairs of register and value
  std::vector<CodeVariable> variables;
  /// index of the variable for each id that is a variable or a pointer into it, or kNoSlot
  std::vector<uint32_t> variable;
  std::map<uint32_t, CodeMatrix> matrices; ///< by id
  /// constants: pairs of id and the value of all elements
  std::vector<std::pair<uint32_t, float>> full_matrices;
  std::vector<CodeInstruction> code;
  /// registers, and words of variables: of a lane, of the workgroup
  uint32_t registers = 0, function_words = 0, workgroup_words = 0;
  uint32_t matrix_numbers = 0; ///< elements of a subgroup's matrices
  static constexpr uint32_t kNoSlot = ~uint32_t(0);
  /// Whether the pointer points to an element, whose index is in its register. Otherwise it is the variable itself.
  bool isChain(uint32_t pointer) const { return slot[pointer] != kNoSlot; }
};

} // namespace linnet::vulkan
