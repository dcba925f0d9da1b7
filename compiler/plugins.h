// Loads pass plugins: shared libraries with MLIR's entry point mlirGetPassPluginInfo.
#pragma once
#include "support/result.h"

#include <string>
#include <vector>

namespace linnet {

/// Loads each library and registers its passes. Libraries that are already loaded are skipped. Errors name
/// the file and its fault.
Result<void> loadPassPlugins(const std::vector<std::string> &files);

} // namespace linnet
