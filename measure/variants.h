// Compares several compilations of one model: their speed, measured in turns so that changes of the machine's
// speed affect all of them, and their answers to the same prompt.
#pragma once
#include "linnet/session.h"
#include "measure/throughput.h"
#include "support/result.h"

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace linnet::measure {

struct Variant {
  std::string name;
  std::string artifact; ///< path
};

struct VariantOptions {
  LoadOptions load = {};
  int64_t prompt = 128, generated = 32; ///< tokens, each at least 1
  int repetitions = 5;
  std::function<void(const std::string &what, double fraction)> progress = {};
};

/// A model's answer to a fixed prompt.
struct Answer {
  std::vector<float> logits;   ///< after the prompt's last token
  std::vector<TokenId> tokens; ///< the likeliest continuation
};

struct VariantFigures {
  std::vector<double> prefill, decode; ///< tokens per second; element i of all variants is of the same round
  double most_disturbed = 0;           ///< the largest Disturbance::share() of a run
  MemoryUse memory;
  Answer answer;
};

/// The answer of one artifact to the prompt of compareVariants: promptsFor() of options.prompt tokens,
/// continued by options.generated tokens, or fewer if the context is full.
Result<Answer> answerOf(const std::string &artifact, const VariantOptions &options);

/// Loads all variants, gets the answer of each, then measures. Each round measures every variant once and
/// begins with the next one. Disturbed runs are repeated, at most as often as there are runs. Returns a
/// result per variant, in order.
Result<std::vector<VariantFigures>> compareVariants(std::span<const Variant> variants,
                                                    const VariantOptions &options);

/// Ratios of rates of the same rounds: the median, the least and the largest.
struct Ratio {
  double median = 0, low = 0, high = 0;
  bool varies() const { return high > kLargestSpread * low; } ///< the ratios vary too much for a conclusion
};
Ratio ratioOf(std::span<const double> rates, std::span<const double> base);

/// The largest difference of two answers' logits, divided by the largest magnitude of a logit of `expected`.
double logitError(const Answer &found, const Answer &expected);
/// Positions at which the continuations have different tokens.
int64_t tokensDiffering(const Answer &found, const Answer &expected);

} // namespace linnet::measure
