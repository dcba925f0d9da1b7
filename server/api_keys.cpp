#include "server/api_keys.h"
#include "support/error.h"
#include "support/file.h"
#include "support/text.h"

#include <algorithm>

namespace linnet::server {

Result<ApiKeys> ApiKeys::read(const std::string &path) {
  LINNET_ASSIGN(const std::string text, readTextFile(path));
  LINNET_ASSIGN(std::string_view rest, withoutByteOrderMark(text, path));
  ApiKeys read;
  for (int line = 1; !rest.empty(); ++line) {
    std::string_view key = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), key.size() + 1));
    while (!key.empty() && (key.back() == '\r' || key.back() == ' ' || key.back() == '\t'))
      key.remove_suffix(1);
    if (key.empty() || key.front() == '#') continue;
    if (std::ranges::any_of(key, [](char c) { return c <= ' ' || c >= 0x7F; }))
      return errorf("{}: line {}: expected a key of printable ASCII characters without spaces", path, line);
    read.keys.emplace_back(key);
  }
  if (read.keys.empty()) return errorf("{}: expected a key per line, found none", path);
  return read;
}

bool ApiKeys::accept(const std::string *authorization) const {
  if (keys.empty()) return true;
  constexpr std::string_view kScheme = "bearer ";
  if (!authorization || authorization->size() < kScheme.size()) return false;
  for (size_t i = 0; i < kScheme.size(); ++i)
    if (((*authorization)[i] | ' ') != kScheme[i]) return false;
  const std::string_view shown = std::string_view(*authorization).substr(kScheme.size());
  bool accepted = false;
  for (const std::string &key : keys) {
    unsigned different = shown.size() != key.size();
    for (size_t i = 0; i < shown.size(); ++i)
      different |= static_cast<unsigned char>(shown[i]) ^ static_cast<unsigned char>(key[i % key.size()]);
    accepted |= different == 0;
  }
  return accepted;
}

} // namespace linnet::server
