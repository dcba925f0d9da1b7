// Checks the keys of a config.json that may change the numbers, and applies the user's overrides.
#pragma once
#include "frontend/model/description.h"
#include "support/json.h"
#include "support/result.h"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace linnet {

/// Keys of one family's config.json.
struct ConfigKeys {
  const char *title; ///< the family's name in errors: "GPT-2"
  /// Keys that the family reads.
  std::set<std::string, std::less<>> read;
  /// Keys without effect at inference.
  std::set<std::string, std::less<>> harmless = {};
  /// Keys for which only this value is supported; others would change the numbers.
  std::map<std::string, Json, std::less<>> only_value = {};
  /// Other families' names for settings of this one. They are ignored if the value is the same.
  struct Alias {
    std::string key; ///< the key that the family reads
    Json usual;      ///< its default
  };
  std::map<std::string, Alias, std::less<>> aliases = {};
};

/// Applies the settings to `config`. Returns a line for each that changed a value: "rotary_dim: null instead
/// of 64". A setting without a key is an error.
Result<std::vector<std::string>> applySettings(Json &config, const ConfigSettings &settings);

/// Errors: a key whose value changes the numbers in an unsupported way, and an unknown key whose value is
/// true, a number, or a non-empty list or object. Errors begin with `where`. Returns the unknown keys that
/// are ignored.
Result<std::vector<std::string>> checkKeys(const Json &config, const std::string &where,
                                           const ConfigKeys &family);

} // namespace linnet
