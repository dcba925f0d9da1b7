// Reads typed fields of one JSON object of a checkpoint. The first error is kept, and later reads do nothing.
#pragma once
#include "support/error.h"
#include "support/json.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace linnet {

class JsonReader {
public:
  /// Errors begin with `where`. Both arguments must outlive the reader.
  JsonReader(const Json &json, const std::string &where) : json(json), where(where) {}

  // A missing or null key leaves `out` unchanged.
  void integer(const char *key, int64_t &out, int64_t low, int64_t high) {
    if (const Json *value = get(key)) wholeNumber(key, *value, "a whole number", out, low, high);
  }
  /// A token id. -1 means none, and so does kUnnamedId if the vocabulary lacks it.
  void id(const char *key, std::optional<int64_t> &out, int64_t vocab_size) {
    std::vector<int64_t> found;
    const Json *value = get(key);
    if (value) addId(key, *value, "a whole number", found, vocab_size);
    if (!found.empty()) out = found.front();
  }
  /// One id or a list of ids, without duplicates. Each is read like id().
  void ids(const char *key, std::vector<int64_t> &out, int64_t vocab_size) {
    const Json *value = get(key);
    if (!value) return;
    out.clear();
    if (!value->is_array()) return addId(key, *value, kIds, out, vocab_size);
    for (const Json &one : *value) addId(key, one, kIds, out, vocab_size);
  }
  void boolean(const char *key, bool &out) {
    if (const Json *value = get(key))
      value->is_boolean() ? void(out = value->get<bool>()) : fail(key, "true or false");
  }
  /// `expected` describes the condition `fits` in errors.
  template <class Fits> void number(const char *key, double &out, const char *expected, Fits fits) {
    const Json *value = get(key);
    if (!value) return;
    if (!value->is_number()) return fail(key, "a number");
    out = value->get<double>();
    if (!std::isfinite(out) || !fits(out)) fail(key, expected);
  }
  void text(const char *key, std::string &out) {
    if (const Json *value = get(key))
      value->is_string() ? void(out = value->get<std::string>()) : fail(key, "a string");
  }
  bool isNull(const char *key) const {
    auto found = json.find(key);
    return found != json.end() && found->is_null();
  }
  bool has(const char *key) const { return json.contains(key); }
  /// The object of that key; null if it is missing or null.
  const Json *object(const char *key) {
    const Json *value = get(key);
    if (value && !value->is_object()) fail(key, "an object");
    return value && value->is_object() ? value : nullptr;
  }
  /// The texts of a list; empty if it is missing or null.
  std::vector<std::string> texts(const char *key) {
    std::vector<std::string> found;
    const Json *value = get(key);
    if (value && !value->is_array()) fail(key, "a list of strings");
    if (value && value->is_array())
      for (const Json &one : *value)
        one.is_string() ? found.push_back(one.get<std::string>()) : fail(key, "a list of strings");
    return found;
  }
  /// Keeps the first error of a reader of a nested object.
  void take(const JsonReader &inner) {
    if (!failure) failure = inner.failure;
  }
  void fail(const char *key, const char *expected) {
    if (failure) return;
    auto found = json.find(key);
    failure = errorf("{}: {} is expected to be {}, found {}", where, key, expected,
                     found == json.end() ? "nothing" : found->dump().substr(0, 60));
  }
  const std::optional<Error> &error() const { return failure; }
  /// The name of the file in errors.
  const std::string &file() const { return where; }

private:
  static constexpr const char *kIds = "a token id or a list of token ids";
  /// The default that transformers writes for GPT-2, even if the vocabulary is smaller.
  static constexpr int64_t kUnnamedId = 50256;

  const Json *get(const char *key) const {
    auto found = json.find(key);
    return failure || found == json.end() || found->is_null() ? nullptr : &*found;
  }
  void wholeNumber(const char *key, const Json &value, const char *expected, int64_t &out, int64_t low,
                   int64_t high) {
    if (!value.is_number_integer()) return fail(key, expected);
    if (value.is_number_unsigned() && value.get<uint64_t>() > static_cast<uint64_t>(high))
      return range(key, low, high);
    out = value.get<int64_t>();
    if (out < low || out > high) range(key, low, high);
  }
  void addId(const char *key, const Json &value, const char *expected, std::vector<int64_t> &out,
             int64_t vocab_size) {
    if (value == kUnnamedId && vocab_size <= kUnnamedId) return;
    int64_t id = -1;
    wholeNumber(key, value, expected, id, -1, vocab_size - 1);
    if (!failure && id >= 0 && std::find(out.begin(), out.end(), id) == out.end()) out.push_back(id);
  }
  void range(const char *key, int64_t low, int64_t high) {
    if (failure) return;
    failure = errorf("{}: {} is expected to be from {} to {}, found {}", where, key, low, high,
                     json[key].dump().substr(0, 60));
  }

  const Json &json;
  const std::string &where;
  std::optional<Error> failure;
};

} // namespace linnet
