// The parts that all specifications share. A specification holds everything that a kernel's code depends on; backends generate
// the kernel from it alone. Its enum Operand names the kernel's operands in their order.
#pragma once
#include "backends/common/kernel_types.h"

namespace linnet::backend {

/// Whether a kernel walks over all items of the operation, or over the range of them that each call names. The code
/// for a range does not depend on the number of items.
enum class Walk { all, range };

/// The text that names a kernel: equal keys are one kernel. Each specification binds all of its fields by name to make
/// its key, so that a new field does not compile until the key's function lists it.
class Key {
public:
  Key(std::string family, Walk walk = Walk::range) : text(std::move(family)), walk(walk) {}
  /// A dimension that only counts items; left out of the key of a range.
  Key &items(const char *label, const Extent &count);
  Key &size(const char *label, const Extent &size);
  Key &type(Type type) { return word(nameOf(type)); }
  /// Left out if it is the usual one.
  Key &type(const char *label, Type type, Type usual);
  Key &bits(const char *label, float x); ///< exactly
  Key &flag(const char *label, bool set) { return set ? word(label) : *this; }
  Key &word(const std::string &word);

  std::string text;

private:
  const Walk walk;
};

/// Whether a call has the operand. A specification with optional operands tells by its function `has`.
template <class Spec> bool hasOperand(const Spec &spec, typename Spec::Operand operand) {
  if constexpr (requires { spec.has(operand); }) return spec.has(operand);
  return true;
}
/// The position of an operand among those that a call has.
template <class Spec> uint32_t positionOf(const Spec &spec, typename Spec::Operand operand) {
  uint32_t position = 0;
  for (uint8_t before = 0; before < uint8_t(operand); ++before)
    position += hasOperand(spec, typename Spec::Operand(before));
  return position;
}
/// The number of operands that a call has.
template <class Spec> uint32_t operandsOf(const Spec &spec) { return positionOf(spec, Spec::Operand::count); }

} // namespace linnet::backend
