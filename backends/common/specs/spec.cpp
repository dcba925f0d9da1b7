#include "backends/common/specs/spec.h"

#include <bit>
#include <fmt/format.h>

namespace linnet::backend {

Key &Key::word(const std::string &word) {
  text += "_" + word;
  return *this;
}
Key &Key::items(const char *label, const Extent &count) {
  return walk == Walk::all ? size(label, count) : *this;
}
Key &Key::size(const char *label, const Extent &size) { return word(label + size.text()); }
Key &Key::type(const char *label, Type type, Type usual) {
  return type == usual ? *this : word(fmt::format("{}_{}", label, nameOf(type)));
}
Key &Key::bits(const char *label, float x) {
  return word(fmt::format("{}{:x}", label, std::bit_cast<uint32_t>(x)));
}

} // namespace linnet::backend
