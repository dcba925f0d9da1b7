// One pass over elements: out_i = body(in_0, in_1, ...)[i].
#pragma once
#include "backends/common/specs/spec.h"

#include <optional>

namespace linnet::backend {

/// Operands {in..., out...}. Backends add what computes the body.
struct ElementwiseSpec {
  std::string name; ///< of the function computed: part of the key
  Extents shape;    ///< of the results, neighbours merged where every input treats them alike
  std::vector<Type> in, out;
  std::vector<uint32_t> broadcast; ///< bit d of broadcast[i]: input i has size 1 in dimension d
  /// Instead of storing elements, each row of the last dimension is reduced.
  std::optional<Reduction> reduce = {};

  /// Whether all operands are passes over the same consecutive elements.
  bool isPlain() const;
  /// `any_size`: the kernel does not depend on a plain pass's number of elements.
  std::string key(bool any_size) const;
};

} // namespace linnet::backend
