// Picks the next token from logits, as transformers' logits processors and multinomial sampling do.
#pragma once
#include "linnet/session.h"

#include <span>
#include <vector>

namespace linnet {

/// An error that names the option where one is out of range.
Result<void> checkOptions(const GenerateOptions &options);

/// Index of the largest value, the lowest among equals; NaN is never chosen unless all are.
TokenId argmax(std::span<const float> values);

/// Memory is taken when it is made; sample() takes none.
class Sampler {
public:
  Sampler(int64_t vocab_size, const GenerateOptions &options);
  /// True where the likeliest token of the untouched logits is the answer.
  bool isPlainArgmax() const { return !options.draws() && options.repetition_penalty == 1.0f; }
  /// Tells of a token of the text (prompt and continuation), for the repetition penalty.
  void see(TokenId id);
  /// `position`: number of tokens before the new one. `copy`: see GenerateOptions::seed.
  TokenId sample(std::span<const float> logits, uint32_t position, uint32_t copy);

  /// What is left after penalty, temperature, top_k and top_p: tokens by id, with their probabilities.
  struct Candidate {
    TokenId id;
    float score;
    double probability;
  };
  std::span<const Candidate> distribution(std::span<const float> logits);

private:
  void score(std::span<const float> logits);
  void keepTopK();
  void keepTopP();
  double toProbabilities();

  GenerateOptions options;
  std::vector<float> scores;
  std::vector<uint8_t> seen;
  std::vector<TokenId> seen_ids;
  std::vector<Candidate> candidates;
  std::vector<float> order; // for the k-th largest
};

} // namespace linnet
