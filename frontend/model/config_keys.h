// Which keys of a config.json change the numbers, and which of them the user overrides.
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
  const char *title; ///< of the family, in errors: "GPT-2"
  /// Those that the family reads.
  std::set<std::string, std::less<>> read;
  /// Those that change nothing at inference.
  std::set<std::string, std::less<>> harmless;
  /// Those that change the numbers when set to anything but this value.
  std::map<std::string, Json, std::less<>> only_value;
  /// Other families' names for settings of this one. The same value says nothing new.
  struct Alias {
    std::string key; ///< that the family reads
    Json usual;      ///< its value if it is missing
  };
  std::map<std::string, Alias, std::less<>> aliases;
};

/// Puts the settings into `config`. Gives a line for each that changed something: "rotary_dim: null instead
/// of 64". An entry without a key is an error.
Result<std::vector<std::string>> applySettings(Json &config, const ConfigSettings &settings);

/// Refuses, by name, a key that changes the numbers in a way that Linnet does not compute, and a key of
/// unknown meaning whose value is true, a number, or a list or object that is not empty. Gives the keys that
/// the family does not have and that are passed over; `where` starts errors.
Result<std::vector<std::string>> checkKeys(const Json &config, const std::string &where,
                                           const ConfigKeys &family);

} // namespace linnet
