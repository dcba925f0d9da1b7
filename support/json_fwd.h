// The type Json for headers that only pass one on: nlohmann's own header takes seconds to compile.
#pragma once
#include <nlohmann/json_fwd.hpp>

namespace linnet {
using Json = nlohmann::ordered_json;
} // namespace linnet
