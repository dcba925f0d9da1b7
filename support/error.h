// errorf("{}: expected {} tensors, found {}", path, a, b): an Error with a formatted message (fmt syntax).
#pragma once
#include "support/result.h"
#include <fmt/format.h>

namespace linnet {
template <class... Args> Error errorf(fmt::format_string<Args...> format, Args &&...args) {
  return Error{fmt::format(format, std::forward<Args>(args)...)};
}
} // namespace linnet
