// Parses JSON of untrusted files: nlohmann's parser with limits, and errors that name the file and position.
#pragma once
#include "support/json_fwd.h"
#include "support/result.h"
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace linnet {
constexpr size_t kMaxJsonKeys = 1 << 16;

/// The message of an nlohmann exception without its name and number: "line 1, column 4: unexpected ...".
std::string jsonProblem(const std::exception &exception);

/// Parses `text`. Errors begin with `where`, a file name. Nesting deeper than `max_depth`, duplicate keys,
/// and objects with more than `max_keys` keys are errors: an ordered object searches its keys linearly, so a
/// hostile one would take quadratic time.
Result<Json> parseJson(std::string_view text, const std::string &where, int max_depth = 64,
                       size_t max_keys = kMaxJsonKeys);
/// The same for a file.
Result<Json> readJsonFile(const std::string &path, int max_depth = 64, size_t max_keys = kMaxJsonKeys);
} // namespace linnet
