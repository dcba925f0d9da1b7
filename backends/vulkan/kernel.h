// A generated kernel and its calling convention. A kernel's name contains everything that its code depends on, so equal
// names are one kernel.
//
// The entry point is "main". Operand i is an array of 32-bit words in set 0. It has its own binding. If there are more
// operands than bindings that every device offers, operands in the same memory share a binding. Workgroups are counted
// in x and y. A kernel's loops step by the number of workgroups, so that any number of workgroups computes everything.
//
// Without features, Vulkan 1.1's guaranteed minimum suffices: at most 128 invocations in a workgroup, 16 KiB of shared
// memory, 32 push constants, no 8- or 16-bit storage, barriers in uniform control flow only.
//
// Push constants: `push` begins at 0. kFirstUnit and the next word are the first unit and the number of units of this
// dispatch. Word kOffsets + i is the offset of operand i in a shared binding, in words.
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

/// The position of a kernel's operand. It converts from a specification's operand only if no optional operand precedes
/// it; otherwise call positionOf().
struct OperandNumber {
  uint32_t value;
  OperandNumber(std::integral auto value) : value(uint32_t(value)) {}
  template <class Operand>
  requires std::is_enum_v<Operand> OperandNumber(Operand operand) : value(uint32_t(operand)) {}
  operator uint32_t() const { return value; }
};

/// The places of a kernel's operands in memory, which a specification does not describe.
struct Operands {
  std::vector<uint32_t> bind; ///< the binding of each operand; if empty, operand i has binding i
  /// Bit i: operand i begins at an element inside its binding. The first push constants are these elements, in the
  /// operands' order.
  uint32_t inside = 0;
  /// Words of a texel if the operand is a read-only uniform texel buffer, else 0. A texel holds four elements. Drivers
  /// that run on a CPU read texels by vector instructions and storage buffers word by word.
  std::vector<uint8_t> texels = {};
  std::string text() const; ///< the part of a kernel's name that describes these
};

/// The allowed numbers of invocations in a subgroup. 0 means any number.
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
  /// Features that a device must have beyond the baseline ("subgroup_arithmetic"), or kinds that it must be ("cpu").
  std::vector<std::string> features;
  std::vector<uint8_t> texels = {};
  std::vector<spirv::Loop> loops; ///< see spirv::Builder::loops()
  SubgroupSizes subgroups = {};   ///< the subgroup sizes that the kernel can run with
};

/// Items that a workgroup computes at a time. The number of workgroups follows from it.
constexpr uint32_t kItems = 64;

/// How a kernel's items are divided: `per` items for each workgroup of `invocations`.
struct Work {
  Extent items;
  uint32_t per = kItems, invocations = kItems;
};

struct SizedKernel {
  Kernel kernel;
  Work work;
};

/// The kernel of a specification in backends/common/specs, which computes everything in one dispatch. The file that
/// generates it specializes emit() and workOf() (emitter.h) and instantiates this template. A missing kernel is an
/// error of the linker that names the specification.
template <class Spec> SizedKernel kernelOf(const Spec &spec, const Operands &where = {});

} // namespace linnet::vulkan
