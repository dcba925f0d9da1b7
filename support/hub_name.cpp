#include "support/hub_name.h"
#include "support/file.h"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <fmt/format.h>
#include <string_view>

namespace linnet {

bool isHubName(const std::string &name) {
  auto allowed = [](char c) {
    return c == '/' || std::isalnum(static_cast<unsigned char>(c)) || (c && std::strchr("-_.", c));
  };
  return !name.empty() && std::all_of(name.begin(), name.end(), allowed) &&
         std::count(name.begin(), name.end(), '/') <= 1 && name.front() != '/' && name.back() != '/' &&
         name.front() != '.' && name.find("..") == std::string::npos && name.find("/.") == std::string::npos;
}

std::string pullHint(const std::string &path, const std::string &published) {
  const std::string name = published.empty() ? path : published;
  size_t slash = name.find('/');
  if (slash == std::string::npos || !isHubName(name)) return "";
  for (const char *suffix : {".linnet", ".gguf", ".mlir", ".safetensors", ".json", ".bin"})
    if (name.ends_with(suffix)) return "";
  if (name == path && isDirectory(path.substr(0, slash))) return ""; // probably a mistyped local path
  return fmt::format("; 'linnet pull {}' downloads a model of the hub", name);
}

} // namespace linnet
