// A generated kernel and how it is called. A kernel's name tells all that its code depends on, so that equal
// names are one kernel.
//
// Convention: the entry point is "main"; operand i is an array of 32-bit words at set 0, at a binding of its
// own or, where there are more than a device must offer, at one shared with operands of the same memory.
// Workgroups are counted in x and y; a kernel walks on by the number of workgroups that there are, so that
// any count computes everything. Unless a feature is named, Vulkan 1.1's guaranteed minimum is enough: at
// most 128 invocations a workgroup, 16 KiB of shared memory, 32 push constants, no 8- or 16-bit storage,
// barriers in uniform control flow only.
//
// Push constants: `push`, from 0 on; kFirstUnit and the word behind it say which units of a large operand
// this dispatch computes; kOffsets + i is where operand i begins in a shared binding, in words.
#pragma once
#include "backends/common/kernel_types.h"
#include "backends/vulkan/spirv/builder.h"

#include <array>
#include <concepts>
#include <string>
#include <type_traits>
#include <vector>

namespace linnet::vulkan {

using backend::Activation;
using backend::Extent;
using backend::Type;

constexpr uint32_t kFirstUnit = 14, kOffsets = 16, kMaxOperands = 16;

/// The position of a kernel's operand, or a specification's operand that no optional one precedes; positionOf() gives
/// that of any other.
struct OperandNumber {
  uint32_t value;
  OperandNumber(std::integral auto value) : value(uint32_t(value)) {}
  template <class Operand>
  requires std::is_enum_v<Operand> OperandNumber(Operand operand) : value(uint32_t(operand)) {}
  operator uint32_t() const { return value; }
};

/// How operands lie in memory, beside what a specification says.
struct Operands {
  std::vector<uint32_t> bind; ///< each one's binding; empty: binding i
  /// Bit i: operand i begins inside its memory, at an element that comes as a push constant: the first ones,
  /// in the operands' order.
  uint32_t inside = 0;
  /// Not 0: the operand is only read, a uniform texel buffer of so many words a texel, which holds four
  /// elements. Drivers that run on a CPU read them by vector instructions, storage buffers word by word.
  std::vector<uint8_t> texels = {};
  std::string text() const; ///< for names
};

/// Invocations in a subgroup; none: any number.
struct SubgroupSizes {
  uint32_t least = 0, most = 0;
  bool operator==(const SubgroupSizes &) const = default;
};

struct Kernel {
  std::string name;
  spirv::Words words;
  uint32_t operands = 0, bindings = 0, push_words = 0;
  std::array<uint32_t, 3> local_size = {1, 1, 1};
  std::vector<Extent> push;
  uint32_t shared_bytes = 0;
  /// What a device must have beyond the baseline ("subgroup_arithmetic"), or be ("cpu").
  std::vector<std::string> features;
  std::vector<uint8_t> texels = {};
  std::vector<spirv::Loop> loops; ///< see spirv::Builder::loops()
  SubgroupSizes subgroups = {};   ///< that the kernel may have
};

} // namespace linnet::vulkan
