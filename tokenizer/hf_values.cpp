#include "tokenizer/hf_values.h"
#include "support/error.h"
#include "support/json.h"

#include <set>

namespace linnet::hf {

namespace {
constexpr int kMaxJsonDepth = 32;
} // namespace

Result<SortedJson> parse(std::string_view text, const std::string &where) {
  bool too_deep = false;
  std::string duplicate;
  std::vector<std::set<std::string>> keys;
  auto watch = [&](int depth, SortedJson::parse_event_t event, SortedJson &value) {
    if (depth > kMaxJsonDepth) too_deep = true;
    if (event == SortedJson::parse_event_t::object_start) keys.emplace_back();
    if (event == SortedJson::parse_event_t::object_end && !keys.empty()) keys.pop_back();
    if (event == SortedJson::parse_event_t::key && !keys.empty() && duplicate.empty())
      if (const auto &key = value.get_ref<const std::string &>(); !keys.back().insert(key).second)
        duplicate = key;
    return !too_deep;
  };
  try {
    SortedJson json = SortedJson::parse(text.begin(), text.end(), watch);
    if (too_deep) return errorf("{}: JSON nested deeper than {} levels", where, kMaxJsonDepth);
    if (!duplicate.empty())
      return errorf("{}: JSON key \"{}\" appears twice in one object", where, duplicate);
    if (!json.is_object()) return errorf("{}: expected a JSON object, found {}", where, json.type_name());
    return json;
  } catch (const SortedJson::exception &e) {
    return errorf("{}: malformed JSON: {}", where, text.empty() ? "it is empty" : jsonProblem(e));
  }
}

const SortedJson *member(const SortedJson &object, const char *key) {
  auto it = object.find(key);
  return it == object.end() || it->is_null() ? nullptr : &*it;
}

std::string typeOf(const SortedJson &object) {
  const SortedJson *type = object.is_object() ? member(object, "type") : nullptr;
  return type && type->is_string() ? type->get<std::string>() : std::string(object.type_name());
}

Result<TokenId> readId(const SortedJson &value, const std::string &token, const std::string &where) {
  bool integer = value.is_number_unsigned() || (value.is_number_integer() && value.get<int64_t>() < 0);
  if (!integer)
    return errorf("{}: token \"{}\": expected an integer id, found {}", where, token, value.type_name());
  if (!value.is_number_unsigned() || value.get<uint64_t>() > static_cast<uint64_t>(kMaxTokenId))
    return errorf("{}: token \"{}\": expected an id from 0 to {}, found {}", where, token, kMaxTokenId,
                  value.dump());
  return static_cast<TokenId>(value.get<uint64_t>());
}

Result<void> readFlag(const SortedJson &object, const char *key, bool &out, const std::string &where) {
  const SortedJson *value = member(object, key);
  if (!value) return {};
  if (!value->is_boolean())
    return errorf("{}: {}: expected true or false, found {}", where, key, value->type_name());
  out = value->get<bool>();
  return {};
}

Result<void> readFlag(const SortedJson &object, const char *key, std::optional<bool> &out,
                      const std::string &where) {
  bool value = false;
  LINNET_TRY(readFlag(object, key, value, where));
  if (member(object, key)) out = value;
  return {};
}

Result<AddedToken> readToken(const SortedJson &value, const std::string &where) {
  AddedToken token;
  if (value.is_string()) {
    token.content = value.get<std::string>();
  } else if (value.is_object()) {
    const SortedJson *content = member(value, "content");
    if (!content || !content->is_string())
      return errorf("{}: an added token without a content string", where);
    token.content = content->get<std::string>();
    LINNET_TRY(readFlag(value, "special", token.special, where));
    LINNET_TRY(readFlag(value, "lstrip", token.lstrip, where));
    LINNET_TRY(readFlag(value, "rstrip", token.rstrip, where));
    LINNET_TRY(readFlag(value, "single_word", token.single_word, where));
    LINNET_TRY(readFlag(value, "normalized", token.normalized, where));
  } else {
    return errorf("{}: expected a token as a string or an object, found {}", where, value.type_name());
  }
  if (token.content.empty()) return errorf("{}: a special token with an empty content", where);
  return token;
}

} // namespace linnet::hf
