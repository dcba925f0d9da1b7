// Finds infinite and NaN results of a language model, and the part of the model that computes the first one.
#pragma once
#include "runtime/language_runner.h"
#include "support/result.h"

#include <span>
#include <string>

namespace linnet {

/// The index of the first infinite or NaN value; values.size() if there is none.
size_t firstNotFinite(std::span<const float> values);

/// The error "WHAT is nan, expected a finite number", followed by the part of the model and the position that
/// have the first such number. If the range of the f16 KV cache is the cause, it also names the option to
/// change. To find them it runs the model on `ids` from position 0, and leaves the cache with `ids`. `offset`
/// is the position of ids[0] in the user's text.
Error notFinite(const std::string &what, double value, LanguageRunner &runner, std::span<const TokenId> ids,
                int64_t offset = 0);

} // namespace linnet
