// linnet --version --json.
#pragma once
#include "support/result.h"

namespace linnet::cli {
/// Prints one JSON object: versions of the program and of the libraries that it found, processor and devices.
Result<void> printVersions();
} // namespace linnet::cli
