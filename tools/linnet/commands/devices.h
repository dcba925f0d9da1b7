#pragma once
#include "support/json.h"

namespace linnet::cli {
/// The object that `linnet devices --json` prints.
Json devicesJson();
} // namespace linnet::cli
