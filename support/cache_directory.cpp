#include "support/cache_directory.h"

#include <cstdlib>

namespace linnet {

std::string cacheDirectory() {
  auto variable = [](const char *name) -> std::string {
    const char *value = std::getenv(name);
    return value ? value : "";
  };
  if (std::string chosen = variable("LINNET_CACHE_DIR"); !chosen.empty()) return chosen;
  if (std::string cache = variable("XDG_CACHE_HOME"); !cache.empty()) return cache + "/linnet";
  if (std::string home = variable("HOME"); !home.empty()) return home + "/.cache/linnet";
  return "";
}

} // namespace linnet
