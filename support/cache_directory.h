// The folder for data that Linnet can regenerate: compiled models, pipelines, verdicts about devices.
#pragma once
#include <string>

namespace linnet {

/// LINNET_CACHE_DIR, or linnet under XDG_CACHE_HOME or ~/.cache; "" if none of these is set. Does not create
/// the folder.
std::string cacheDirectory();

} // namespace linnet
