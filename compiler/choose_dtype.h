// --dtype auto: how weights are stored when only the error is given.
#pragma once
#include "compiler/api.h"
#include "compiler/input.h"

namespace linnet {

/// The first of the target's TargetDescription::fastest_dtypes whose mean Kullback-Leibler divergence from
/// f32, in nats a token, is at most options.max_divergence, or f32. Of several targets it is the one that
/// runs where no device is named: the cpu if it is among them, else the first. The divergence is that of the
/// next token's distributions behind each of up to kChoiceTokens positions of options.calibration, or of a
/// text of our own, which the model reads with its tokenizer (without one it reads drawn ids); both models
/// run on this machine's cpu. report.trials says what was found. Errors: no language model with a cpu
/// program, a text of less than 2 tokens. `input`: options.input, opened.
Result<std::string> chooseDtype(ModelInput &input, const CompileOptions &options, CompileReport &report);

inline constexpr int64_t kChoiceTokens = 128;

} // namespace linnet
