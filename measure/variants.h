// One model compiled in several ways, measured side by side: speed in turns, so that a machine that changes
// its speed does so for all, and what each answers to the same prompt.
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

/// What a model says after a fixed prompt.
struct Answer {
  std::vector<float> logits;   ///< behind the prompt's last token
  std::vector<TokenId> tokens; ///< the likeliest continuation
};

struct VariantFigures {
  std::vector<double> prefill, decode; ///< tokens per second; the i-th of each variant are of one round
  double most_disturbed = 0;           ///< Disturbance::share() of the run that lost most
  MemoryUse memory;
  Answer answer;
};

/// The answer of one artifact to the prompt that compareVariants uses: promptsFor() of options.prompt tokens,
/// continued by options.generated, or as many as the context has room for.
Result<Answer> answerOf(const std::string &artifact, const VariantOptions &options);

/// Loads all variants, asks each for its answer, then measures: in each round every variant once, and each
/// round begins with the next one. Disturbed runs are repeated, at most as many as there are runs. One result
/// a variant, in their order.
Result<std::vector<VariantFigures>> compareVariants(std::span<const Variant> variants,
                                                    const VariantOptions &options);

/// Of rates round by round: the median of their ratios, the least and the largest.
struct Ratio {
  double median = 0, low = 0, high = 0;
  bool varies() const { return high > kLargestSpread * low; } ///< says little
};
Ratio ratioOf(std::span<const double> rates, std::span<const double> base);

/// Largest difference of two answers' logits, beside the largest logit (in magnitude) of `expected`.
double logitError(const Answer &found, const Answer &expected);
/// Positions at which the continuations have different tokens.
int64_t tokensDiffering(const Answer &found, const Answer &expected);

} // namespace linnet::measure
