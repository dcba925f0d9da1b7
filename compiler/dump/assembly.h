// Splits the assembly of a module into functions.
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace linnet::dump {

/// (name, text) of each function, by LLVM's comments at their begin and end. The constants before a function
/// belong to it. Text after the last function is dropped. Without such comments, the whole text is "kernels".
std::vector<std::pair<std::string, std::string>> splitAssembly(std::string_view text);

} // namespace linnet::dump
