// An elementwise kernel: out_i = body(in_0, in_1, ...)[i].
#pragma once
#include "backends/common/specs/spec.h"

#include <algorithm>
#include <fmt/format.h>
#include <optional>

namespace linnet::backend {

/// Operands are {in..., out...}. Backends derive and add the body.
struct ElementwiseSpec {
  std::string name; ///< the name of the region, which is part of the key
  Extents shape;    ///< shape of the results; adjacent dimensions are merged if every input treats them alike
  std::vector<Type> in, out;
  std::vector<uint32_t> broadcast; ///< bit d of broadcast[i]: input i has size 1 in dimension d
  /// If set, the kernel stores the reduction of each row of the last dimension instead of elements.
  std::optional<Reduction> reduce = {};

  /// Whether all operands have the same number of consecutive elements, without broadcasts or a reduction.
  bool isPlain() const;
  /// With `any_size`, a plain kernel's key leaves out the number of elements.
  std::string key(bool any_size) const;
};

inline bool ElementwiseSpec::isPlain() const {
  return shape.size() == 1 && !reduce && std::ranges::all_of(broadcast, [](uint32_t dims) { return !dims; });
}

inline std::string ElementwiseSpec::key(bool any_size) const {
  const auto &[name, shape, in, out, broadcast, reduce] = *this;
  Key key(name);
  for (size_t i = 0; i < in.size(); ++i) {
    key.type(in[i]);
    if (broadcast[i]) key.text += fmt::format("b{:x}", broadcast[i]);
  }
  if (reduce) key.word(nameOf(*reduce));
  key.word("to");
  for (Type type : out) key.type(type);
  if (any_size && isPlain()) return key.text;
  for (const Extent &extent : shape) key.size("", extent);
  return key.text;
}

} // namespace linnet::backend
