// The parts that all specifications share. A specification holds everything that a kernel's code depends on, and
// backends generate the kernel from it alone. Its enum Operand lists the kernel's operands in their order.
#pragma once
#include "backends/common/kernel_types.h"

namespace linnet::backend {

/// Whether a kernel computes all items of the operation, or the range of items that each call passes. The code for a
/// range does not depend on the number of items.
enum class Walk { all, range };

/// The name of a kernel; specifications with equal keys share one kernel. Each key function binds all fields of its
/// specification by name. A new field therefore does not compile until the function lists it.
class Key {
public:
  Key(std::string family, Walk walk = Walk::range) : text(std::move(family)), walk(walk) {}
  /// Adds a dimension that only counts items. The key of a range leaves it out.
  Key &items(const char *label, const Extent &count);
  Key &size(const char *label, const Extent &size);
  Key &type(Type type) { return word(nameOf(type)); }
  /// Adds the type unless it is the usual one.
  Key &type(const char *label, Type type, Type usual);
  Key &bits(const char *label, float x); ///< the bits of x as hexadecimal digits
  Key &flag(const char *label, bool set) { return set ? word(label) : *this; }
  Key &word(const std::string &word);

  std::string text;

private:
  const Walk walk;
};

/// Whether a call has the operand. A specification with optional operands has a function `has`.
template <class Spec> bool hasOperand(const Spec &spec, typename Spec::Operand operand) {
  if constexpr (requires { spec.has(operand); }) return spec.has(operand);
  return true;
}
/// The position of an operand among the operands of the call.
template <class Spec> uint32_t positionOf(const Spec &spec, typename Spec::Operand operand) {
  uint32_t position = 0;
  for (uint8_t before = 0; before < uint8_t(operand); ++before)
    position += hasOperand(spec, typename Spec::Operand(before));
  return position;
}
/// The number of operands of a call.
template <class Spec> uint32_t operandsOf(const Spec &spec) { return positionOf(spec, Spec::Operand::count); }

} // namespace linnet::backend
