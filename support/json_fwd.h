// Declares the type Json for headers that do not use its members, because nlohmann's header takes seconds to
// compile.
#pragma once
#include <nlohmann/json_fwd.hpp>

namespace linnet {
using Json = nlohmann::ordered_json;
} // namespace linnet
