// Keys that clients must send.
#pragma once
#include "support/result.h"

#include <string>
#include <string_view>
#include <vector>

namespace linnet::server {

class ApiKeys {
public:
  /// Accepts every request.
  ApiKeys() = default;
  /// Reads a key per line. Blank lines and lines that begin with # are skipped. Errors: there is no key; a key has
  /// characters that an HTTP header cannot have.
  static Result<ApiKeys> read(const std::string &path);
  bool required() const { return !keys.empty(); }
  /// Whether a header "Authorization: Bearer KEY" has one of the keys. The time depends on the length of the shown
  /// key and on the number of keys, not on their characters.
  bool accept(const std::string *authorization) const;

private:
  std::vector<std::string> keys;
};

} // namespace linnet::server
