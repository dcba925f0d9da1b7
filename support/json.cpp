#include "support/json.h"
#include "support/content_fault.h"
#include "support/error.h"
#include "support/file.h"

#include <set>

namespace linnet {

std::string jsonProblem(const std::exception &exception) {
  // "[json.exception.parse_error.101] parse error at line 1, column 4: syntax error while parsing value -
  // ..."
  std::string_view text = exception.what();
  auto cut = [&](std::string_view word) {
    if (text.starts_with(word)) text.remove_prefix(word.size());
  };
  if (text.starts_with('[')) text.remove_prefix(std::min(text.find("] "), text.size() - 2) + 2);
  cut("parse error at ");
  cut("parse error: ");
  std::string out;
  constexpr std::string_view kSyntax = ": syntax error while parsing ", kDetail = " - ";
  if (size_t syntax = text.find(kSyntax), detail = text.find(kDetail, syntax);
      syntax != text.npos && detail != text.npos) {
    out = fmt::format("{}: ", text.substr(0, syntax));
    text.remove_prefix(detail + kDetail.size());
  }
  constexpr size_t kLongest = 160; // the message quotes the last token, which may be long
  out += text.substr(0, kLongest);
  return out;
}

Result<Json> parseJson(std::string_view text, const std::string &where, int max_depth, size_t max_keys) {
  bool too_deep = false, too_many = false;
  std::string duplicate;
  std::vector<std::set<std::string>> keys;
  auto watch = [&](int depth, Json::parse_event_t event, Json &value) {
    if (depth > max_depth) too_deep = true;
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end && !keys.empty()) keys.pop_back();
    if (event == Json::parse_event_t::key && !keys.empty()) {
      too_many = too_many || keys.back().size() >= max_keys;
      if (too_many) return false;
      auto key = value.get<std::string>();
      if (!keys.back().insert(key).second && duplicate.empty()) duplicate = key;
    }
    return !too_deep && !too_many;
  };
  try {
    Json json = Json::parse(text.begin(), text.end(), watch);
    if (too_deep) return errorf("{}: JSON nested deeper than {} levels", where, max_depth);
    if (too_many) return errorf("{}: a JSON object of more than {} keys", where, max_keys);
    if (!duplicate.empty())
      return errorf("{}: JSON key \"{}\" appears twice in one object", where, duplicate);
    return json;
  } catch (const Json::exception &e) {
    if (too_deep) return errorf("{}: JSON nested deeper than {} levels", where, max_depth);
    return errorf("{}: malformed JSON: {}", where, text.empty() ? "it is empty" : jsonProblem(e));
  }
}

Result<Json> readJsonFile(const std::string &path, int max_depth, size_t max_keys) {
  LINNET_ASSIGN(std::string text, readTextFile(path));
  if (std::string fault = contentFault(text); !fault.empty()) return errorf("{}: {}", path, fault);
  return parseJson(text, path, max_depth, max_keys);
}

} // namespace linnet
