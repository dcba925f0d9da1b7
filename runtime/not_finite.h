// Numbers of a language model that are infinite or NaN: found, and traced to where they begin.
#pragma once
#include "runtime/language_runner.h"
#include "support/result.h"

#include <span>
#include <string>

namespace linnet {

/// The place of the first number that is infinite or NaN; values.size() where there is none.
size_t firstNotFinite(std::span<const float> values);

/// "WHAT is nan, expected a finite number", and where the first such number is when the model reads `ids`
/// from its first position on: the part of the model, the position, and, where the f16 of the KV cache is the
/// reason, the option that helps. Runs the model, and leaves its cache with `ids`; the position of ids[0] in
/// the user's text is `offset`.
Error notFinite(const std::string &what, double value, LanguageRunner &runner, std::span<const TokenId> ids,
                int64_t offset = 0);

} // namespace linnet
