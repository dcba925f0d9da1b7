// Arguments of a filter, test, method or function, by the names of its parameters.
#pragma once
#include "chat/library.h"

#include <initializer_list>
#include <optional>

namespace linnet::chat {

class Bound {
public:
  /// Throws Fault, which begins with `what`, for unknown, repeated, missing and surplus arguments. The first
  /// `required` parameters must be given.
  Bound(const Arguments &arguments, std::string_view what, std::initializer_list<std::string_view> parameters,
        size_t required = 0);

  bool has(size_t i) const { return values[i].has_value(); }
  Value operator[](size_t i) const { return *values[i]; }
  Value get(size_t i, Value otherwise) const { return values[i].value_or(otherwise); }
  /// Whether argument i is given and not None.
  bool given(size_t i) const { return values[i] && !values[i]->is(Kind::none); }
  bool flag(size_t i, bool otherwise = false) const { return values[i] ? truth(*values[i]) : otherwise; }

private:
  std::vector<std::optional<Value>> values;
};

} // namespace linnet::chat
