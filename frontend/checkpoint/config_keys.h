// Which keys of a config.json change the numbers, and which of them the user overrides.
#pragma once
#include "support/json_fwd.h"
#include "support/result.h"

#include <string>
#include <vector>

namespace linnet {

/// KEY=VALUE each, as --set takes them: VALUE replaces what config.json says. It is read as JSON, or as text
/// where it is none.
using ConfigSettings = std::vector<std::string>;

/// Puts the settings into `config`. Gives a line for each that changed something: "rotary_dim: null instead
/// of 64". An entry without a key is an error.
Result<std::vector<std::string>> applySettings(Json &config, const ConfigSettings &settings);

/// Refuses, by name, a key that changes the numbers in a way that Linnet does not compute, and a key of
/// unknown meaning whose value is true, a number, or a list or object that is not empty. Gives the keys that
/// GPT-2 does not have and that are passed over; `where` starts errors.
Result<std::vector<std::string>> checkKeys(const Json &config, const std::string &where);

} // namespace linnet
