// Assembly of a module, cut into its functions.
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace linnet::dump {

/// (name, text) of each function, as LLVM's notes on where functions begin and end say; a function's
/// constants, which stand before it, go with it. What stands behind the last function is dropped. Without
/// such notes: all of it, as "kernels".
std::vector<std::pair<std::string, std::string>> splitAssembly(std::string_view text);

} // namespace linnet::dump
