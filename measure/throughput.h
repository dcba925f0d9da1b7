// Tokens per second of prompts and of generation, as llama-bench counts them.
#pragma once
#include "linnet/session.h"
#include "measure/disturbance.h"
#include "support/result.h"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace linnet::measure {

/// `prompt` tokens processed up to the first new one, or (prompt 0) `generated` tokens one at a time behind
/// `past` of them.
struct Test {
  int64_t prompt = 0, generated = 0, batch = 1, past = 1;
  std::string name() const; ///< "pp128", "tg32", "tg32 @ d128" behind 128 tokens
};

struct Measured {
  Test test;
  std::vector<double> rates; ///< tokens per second, one a repetition
  double most_disturbed = 0; ///< Disturbance::share() of the repetition that lost most
  double mean() const;
  double deviation() const; ///< of the sample; 0 for one repetition
  bool disturbed() const { return isDisturbed(most_disturbed, rates); }
};

/// Random but repeatable prompts: the speed of a matmul does not depend on them, caches of lookups might.
std::vector<std::vector<TokenId>> promptsFor(const ModelConfig &config, int64_t batch, int64_t length);

/// An error where an artifact was compiled for fewer positions or sequences than a test needs.
Result<void> checkBounds(const ModelConfig &config, const std::vector<Test> &tests);

/// A prompt and tokens behind it that fit a model with `context` positions: sizes that nobody `chose` become
/// smaller, the others stay.
void fitDefaults(int64_t context, int64_t &prompt, bool chose_prompt, int64_t &generated,
                 bool chose_generated);

/// Tokens per second. A prompt's time ends with the last sequence's first token; generation's starts there.
Result<double> once(Session &session, const ModelConfig &config, const Test &test);

/// Asked between runs: true ends the measurement with an error.
using Interrupted = std::function<bool()>;

/// `repetitions` runs after one that warms up. Disturbed ones run again, as many times in all.
Result<Measured> measure(Session &session, const ModelConfig &config, const Test &test, int repetitions,
                         const Interrupted &interrupted = {});

} // namespace linnet::measure
