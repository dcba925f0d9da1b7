// --dtype auto: chooses the type of weights for a given error.
#pragma once
#include "compiler/api.h"
#include "compiler/input.h"

namespace linnet {

/// The first of the target's TargetDescription::fastest_dtypes whose mean Kullback-Leibler divergence from
/// f32, in nats per token, is at most options.max_divergence; else f32. If there are several targets, it is
/// the default device's: the cpu if it is one of them, else the first. The divergence compares the next
/// token's distributions at up to kChoiceTokens positions of options.calibration, or of a built-in text.
/// Without a tokenizer the model reads random ids. Both models run on this machine's cpu. report.trials
/// receives the results. Errors: the input is not a language model, or the text has less than 2 tokens.
/// `input` is options.input, opened.
Result<std::string> chooseDtype(ModelInput &input, const CompileOptions &options, CompileReport &report);

inline constexpr int64_t kChoiceTokens = 128;

} // namespace linnet
