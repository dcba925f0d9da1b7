// JSON from untrusted files: nlohmann's parser behind a limit on nesting and an error that names the file and
// place.
#pragma once
#include "support/json_fwd.h"
#include "support/result.h"
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace linnet {
constexpr size_t kMaxJsonKeys = 1 << 16;

/// What an exception of nlohmann's says, without its own name and number: "line 1, column 4: unexpected ...".
std::string jsonProblem(const std::exception &exception);

/// Parses `text`; `where` (a file name) starts the error message. Refuses nesting deeper than `max_depth`,
/// duplicate keys in an object, and objects of more than `max_keys` keys (an ordered object looks its keys up
/// one by one, so that a hostile one would cost quadratic time).
Result<Json> parseJson(std::string_view text, const std::string &where, int max_depth = 64,
                       size_t max_keys = kMaxJsonKeys);
/// The same for a file.
Result<Json> readJsonFile(const std::string &path, int max_depth = 64, size_t max_keys = kMaxJsonKeys);
} // namespace linnet
