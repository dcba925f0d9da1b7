#include "server/api_error.h"
#include "support/json.h"

namespace linnet::server {

static const char *typeOf(int status) {
  switch (status) {
  case 401:
    return "authentication_error";
  case 404:
    return "not_found_error";
  case 429:
    return "rate_limit_error";
  default:
    return status < 500 ? "invalid_request_error" : "server_error";
  }
}

Json errorJson(const ApiError &error) {
  auto orNull = [](const std::string &text) { return text.empty() ? Json(nullptr) : Json(text); };
  return {{"error",
           {{"message", error.message},
            {"type", typeOf(error.status)},
            {"param", orNull(error.param)},
            {"code", orNull(error.code)}}}};
}

std::string errorText(const ApiError &error) { return dumped(errorJson(error)); }

std::string dumped(const Json &json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

} // namespace linnet::server
