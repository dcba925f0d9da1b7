#include "server/fields.h"
#include "support/number_text.h"
#include "support/suggestion.h"
#include "tokenizer/unicode.h"

#include <algorithm>

namespace linnet::server {

static std::string shortened(const std::string &text, size_t most) {
  if (text.size() <= most) return text;
  size_t end = most;
  // goes back to the begin of a UTF-8 character
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end) + "...";
}

std::string foundText(const Json &value) {
  constexpr size_t kShown = 40;
  if (value.is_object()) return "an object";
  if (value.is_array()) return value.empty() ? "an empty list" : "a list";
  return shortened(dumped(value), kShown);
}

ApiError wrong(const std::string &place, const std::string &expected, const std::string &found) {
  return {.message = fmt::format("{}: expected {}, found {}", place, expected, found),
          .param = place,
          .code = "invalid_value"};
}

Fields::Fields(const Json &o, std::string p) : object(o), path(std::move(p)) {
  if (!object.is_object()) throw wrong(path.empty() ? "the request" : path, "an object", object);
}

const Json *Fields::find(const std::string &name) {
  known.push_back(name);
  const auto found = object.find(name);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

std::optional<int64_t> Fields::integer(const std::string &name, int64_t low, int64_t high) {
  const Json *value = find(name);
  if (!value) return {};
  const bool in_range =
      value->is_number_unsigned()
          ? value->get<uint64_t>() <= static_cast<uint64_t>(std::max<int64_t>(high, 0)) &&
                static_cast<int64_t>(value->get<uint64_t>()) >= low
          : value->is_number_integer() && value->get<int64_t>() >= low && value->get<int64_t>() <= high;
  if (!in_range) throw wrong(place(name), fmt::format("a whole number from {} to {}", low, high), *value);
  return value->get<int64_t>();
}

std::optional<double> Fields::number(const std::string &name, double low, double high) {
  const Json *value = find(name);
  if (!value) return {};
  if (!value->is_number() || !(value->get<double>() >= low && value->get<double>() <= high))
    throw wrong(place(name), fmt::format("a number from {} to {}", numberText(low), numberText(high)),
                *value);
  return value->get<double>();
}

std::optional<bool> Fields::boolean(const std::string &name) {
  const Json *value = find(name);
  if (!value) return {};
  if (!value->is_boolean()) throw wrong(place(name), "true or false", *value);
  return value->get<bool>();
}

std::optional<std::string> Fields::text(const std::string &name) {
  const Json *value = find(name);
  if (!value) return {};
  if (!value->is_string()) throw wrong(place(name), "a text", *value);
  return value->get<std::string>();
}

void Fields::unsupported(const std::string &name, const std::vector<Json> &neutral) {
  const Json *value = find(name);
  if (!value || std::ranges::find(neutral, *value) != neutral.end()) return;
  throw ApiError{
      .message = fmt::format("{}: not supported by this server, found {}", place(name), foundText(*value)),
      .param = place(name),
      .code = "unsupported_field"};
}

void Fields::finish() const {
  constexpr size_t kLongName = 64; // comparing a longer name with the known names takes long
  for (const auto &[name, value] : object.items()) {
    if (std::ranges::find(known, name) != known.end()) continue;
    const bool is_long = name.size() > kLongName;
    const std::string shown = place(is_long ? shortened(name, kLongName) : name);
    throw ApiError{.message =
                       fmt::format("{}: unknown field{}", shown, is_long ? "" : suggestion(name, known)),
                   .param = shown,
                   .code = "unknown_field"};
  }
}

} // namespace linnet::server
