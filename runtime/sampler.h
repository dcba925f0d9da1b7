// Chooses the next token from logits, like transformers' logits processors and multinomial sampling.
#pragma once
#include "linnet/session.h"

#include <span>
#include <vector>

namespace linnet {

/// An error that names the option if one is out of range.
Result<void> checkOptions(const GenerateOptions &options);

/// log(sum of e^value), in f64. No value may be infinite or NaN.
double logSumExp(std::span<const float> values);

/// Index of the largest value; ties give the lowest index. NaN is ignored unless all values are NaN.
TokenId argmax(std::span<const float> values);

/// The constructor allocates all memory; sample() allocates none.
class Sampler {
public:
  Sampler(int64_t vocab_size, const GenerateOptions &options);
  /// Whether the result is the argmax of the unmodified logits.
  bool isPlainArgmax() const { return !options.draws() && !options.changesLogits(); }
  /// Records a token of the prompt for the repetition penalty.
  void see(TokenId id);
  /// Records a generated token for all penalties.
  void seeGenerated(TokenId id);
  /// `position`: number of tokens before the new one. `copy`: see GenerateOptions::seed.
  TokenId sample(std::span<const float> logits, uint32_t position, uint32_t copy);

  /// The tokens that remain after penalty, temperature, top_k and top_p, by id, with their probabilities.
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
  std::vector<uint32_t> counts; // of generated tokens, by id
  std::vector<TokenId> counted; // ids whose count is not 0
  std::vector<Candidate> candidates;
  std::vector<float> order; // for the k-th largest
};

} // namespace linnet
