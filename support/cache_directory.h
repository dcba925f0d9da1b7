// Where Linnet keeps what it can make again: compiled models, pipelines, what was found out about devices.
#pragma once
#include <string>

namespace linnet {

/// LINNET_CACHE_DIR, or linnet under XDG_CACHE_HOME or ~/.cache; "" where none of these is set. Not made
/// here.
std::string cacheDirectory();

} // namespace linnet
