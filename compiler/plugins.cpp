#include "compiler/plugins.h"

#include "support/error.h"

#include "mlir/Tools/Plugins/PassPlugin.h"

#include <algorithm>
#include <filesystem>
#include <set>

namespace linnet {

Result<void> loadPassPlugins(const std::vector<std::string> &files) {
  static std::set<std::string> loaded;
  for (const std::string &file : files) {
    std::error_code failed;
    std::string path = std::filesystem::canonical(file, failed).string();
    if (failed) return errorf("--load-pass-plugin: {}: {}", file, failed.message());
    if (loaded.count(path)) continue;
    auto plugin = mlir::PassPlugin::load(path);
    if (!plugin) {
      std::string why = llvm::toString(plugin.takeError());
      std::replace(why.begin(), why.end(), '\n', ' ');
      return errorf("--load-pass-plugin: {}: {}", file, why);
    }
    plugin->registerPassRegistryCallbacks();
    loaded.insert(path);
  }
  return {};
}

} // namespace linnet
