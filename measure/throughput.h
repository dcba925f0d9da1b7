// Measures tokens per second of prompts and of generation, like llama-bench.
#pragma once
#include "linnet/session.h"
#include "measure/disturbance.h"
#include "support/result.h"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace linnet::measure {

/// Processing of `prompt` tokens up to the first new one; or, if prompt is 0, generation of `generated`
/// tokens one at a time after `past` tokens.
struct Test {
  int64_t prompt = 0, generated = 0, batch = 1, past = 1;
  std::string name() const; ///< "pp128", "tg32", "tg32 @ d128" after 128 tokens
};

struct Measured {
  Test test;
  std::vector<double> rates; ///< tokens per second of each repetition
  double most_disturbed = 0; ///< the largest Disturbance::share() of a repetition
  double mean() const;
  double deviation() const; ///< sample standard deviation; 0 for one repetition
  bool disturbed() const { return isDisturbed(most_disturbed, rates); }
};

/// Pseudo-random prompts. The speed of a matmul does not depend on them, but the caching of lookups might.
std::vector<std::vector<TokenId>> promptsFor(const ModelConfig &config, int64_t batch, int64_t length);

/// An error if the artifact was compiled for fewer positions or sequences than a test needs.
Result<void> checkBounds(const ModelConfig &config, const std::vector<Test> &tests);

/// Reduces the sizes of prompt and generation to fit `context` positions. Sizes that the user chose stay.
void fitDefaults(int64_t context, int64_t &prompt, bool chose_prompt, int64_t &generated,
                 bool chose_generated);

/// Tokens per second of one run. The prompt's time ends with the first token of the last sequence, and the
/// generation's time starts there.
Result<double> once(Session &session, const ModelConfig &config, const Test &test);

/// Called between runs. Returning true ends the measurement with an error.
using Interrupted = std::function<bool()>;

/// Measures `repetitions` runs after a warm-up. Repeats disturbed runs, at most `repetitions` times in all.
Result<Measured> measure(Session &session, const ModelConfig &config, const Test &test, int repetitions,
                         const Interrupted &interrupted = {});

} // namespace linnet::measure
