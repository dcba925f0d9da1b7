// The page at /, which is embedded at build time.
#pragma once
#include <string_view>

namespace linnet::server {

extern const std::string_view kPage;
/// The page loads nothing and connects to its own server only.
inline constexpr const char *kPagePolicy =
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

} // namespace linnet::server
