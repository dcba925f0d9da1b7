// Passes from outside: shared libraries with MLIR's plugin entry point, mlirGetPassPluginInfo.
#pragma once
#include "support/result.h"

#include <string>
#include <vector>

namespace linnet {

/// Loads each library and registers its passes; a second time, nothing happens. The error names the file and
/// what is wrong with it.
Result<void> loadPassPlugins(const std::vector<std::string> &files);

} // namespace linnet
