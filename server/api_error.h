// Errors of the API, in OpenAI's form.
#pragma once
#include "support/json_fwd.h"

#include <string>

namespace linnet::server {

/// Thrown while a request is read, and caught by Api::handle.
struct ApiError {
  int status = 400;
  std::string message;
  std::string param = {}; ///< the field, or empty
  std::string code = {};  ///< a name for programs, or empty
};

/// {"error": {"message", "type", "param", "code"}}
Json errorJson(const ApiError &error);
/// The same as text.
std::string errorText(const ApiError &error);
/// JSON as text. Ill-formed UTF-8 becomes U+FFFD.
std::string dumped(const Json &json);

} // namespace linnet::server
