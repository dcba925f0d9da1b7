// JSON from untrusted files: nlohmann's parser behind a limit on nesting and an error that names the file and place.
#pragma once
#include "support/result.h"
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace linnet {
using Json = nlohmann::ordered_json;

/// Parses `text`; `where` (a file name) starts the error message. Refuses nesting deeper than `max_depth`
/// and duplicate keys in an object.
Result<Json> parseJson(std::string_view text, const std::string &where, int max_depth = 64);
/// The same for a file.
Result<Json> readJsonFile(const std::string &path, int max_depth = 64);
} // namespace linnet
