// The metadata of a GGUF file for people: who made the model, and how a conversation is written.
#include "frontend/checkpoint/gguf.h"
#include "support/json.h"

#include <algorithm>
#include <cmath>
#include <string_view>

namespace linnet {
namespace {

/// JSON has no NaN and no infinity, so these become text.
Json number(double value) {
  if (std::isfinite(value)) return value;
  return fmt::format("{}", value);
}
template <class T> Json number(T value) { return value; }

struct ToJson {
  Json operator()(const std::string &text) const { return text; }
  template <class T> Json operator()(const T &value) const { return number(value); }
  template <class T> Json operator()(const std::vector<T> &list) const {
    Json out = Json::array();
    for (const auto &item : list) out.push_back((*this)(static_cast<const T &>(item)));
    return out;
  }
};

/// Whether a line can show the key. The format allows ASCII letters, digits, '_', '-' and '.' only.
bool isShown(std::string_view key) {
  const bool printable = std::all_of(key.begin(), key.end(), [](char c) { return c > ' ' && c <= '~'; });
  return printable && (key.starts_with("general.") || key.starts_with("tokenizer.chat_template"));
}

} // namespace

std::string aboutGguf(const GgufFile &file) {
  constexpr size_t kMaxKeys = 256; // an ordered object searches its keys linearly
  Json out = Json::object();
  for (auto &[key, value] : file.metadata())
    if (out.size() < kMaxKeys && isShown(key)) out[key] = std::visit(ToJson(), value);
  return out.empty() ? "" : out.dump(2, ' ', false, Json::error_handler_t::replace);
}

} // namespace linnet
