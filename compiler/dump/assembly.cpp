#include "compiler/dump/assembly.h"

#include <algorithm>

namespace linnet::dump {

std::vector<std::pair<std::string, std::string>> splitAssembly(std::string_view text) {
  constexpr std::string_view kBegin = "-- Begin function ", kEnd = "-- End function";
  std::vector<std::pair<std::string, std::string>> functions;
  for (size_t from = 0;;) {
    const size_t begin = text.find(kBegin, from);
    const size_t end = begin == text.npos ? text.npos : text.find(kEnd, begin);
    if (end == text.npos) break;
    const size_t name = begin + kBegin.size();
    const size_t stop = std::min(text.find('\n', end), text.size() - 1) + 1;
    functions.emplace_back(text.substr(name, text.find_first_of(" \t\n", name) - name),
                           text.substr(from, stop - from));
    from = stop;
  }
  if (functions.empty()) functions.emplace_back("kernels", text);
  return functions;
}

} // namespace linnet::dump
