// Chooses the next token from logits, like transformers' logits processors and multinomial sampling.
#pragma once
#include "linnet/session.h"

#include <optional>
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
  /// The text before the new token. See LogitsCallback and GenerateOptions::seed.
  struct Text {
    int64_t sequence = 0;
    std::span<const TokenId> ids;
    uint32_t copy = 0;
  };
  /// As sample(), and calls GenerateOptions::on_logits. Nothing if that returned false. Errors: it left numbers from
  /// which no token can be chosen.
  Result<std::optional<TokenId>> next(std::span<const float> logits, const Text &text);

  /// The tokens that remain after penalty, temperature, top_k and top_p, by id, with their probabilities.
  struct Candidate {
    TokenId id;
    float score;
    double probability;
  };
  std::span<const Candidate> distribution(std::span<const float> logits);

private:
  void penalize(std::span<const float> logits);
  Result<void> checkScores() const;
  std::span<const Candidate> select();
  std::optional<TokenId> draw(uint32_t position, uint32_t copy);
  void keepTopK();
  void keepTopP();
  double toProbabilities();

  GenerateOptions options;
  std::vector<float>
      scores; // logits after bias, penalties and on_logits; select() divides by the temperature
  std::vector<uint8_t> seen;
  std::vector<TokenId> seen_ids;
  std::vector<uint32_t> counts; // of generated tokens, by id
  std::vector<TokenId> counted; // ids whose count is not 0
  std::vector<Candidate> candidates;
  std::vector<float> order; // for the k-th largest
};

} // namespace linnet
