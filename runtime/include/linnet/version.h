// Versions of the headers and of the library.
#pragma once
#include "linnet/api.h"

#define LINNET_VERSION_MAJOR 0
#define LINNET_VERSION_MINOR 1
#define LINNET_VERSION_PATCH 0

namespace linnet {

/// Version of the loaded library, which may be newer than the headers: "0.1.0".
LINNET_API const char *version();
/// Version of the artifact format that the library reads.
LINNET_API unsigned artifactFormatVersion();

} // namespace linnet
