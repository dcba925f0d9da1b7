// Options of text generation.
#pragma once
#include "linnet/tokenizer.h"

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace linnet {

/// Called before a token is chosen. `ids` is the text so far: prompt and generated tokens. `logits` has vocab_size
/// numbers, which the callback may change; -infinity excludes a token. Both are valid during the call only. `sequence`
/// is the prompt's index in generateBatch(), the text's number in a Batch, else 0. Return false to end the text before
/// that token, as FinishReason::Cancelled. Must not throw, and must not use the session or batch except for cancel().
using LogitsCallback =
    std::function<bool(int64_t sequence, std::span<const TokenId> ids, std::span<float> logits)>;

/// The options have the meaning and the order of transformers' generate(): repetition penalty, temperature,
/// top_k, top_p. The bias and the two penalties of OpenAI's API come first.
struct GenerateOptions {
  int64_t max_new_tokens = 128;
  /// False: every token is the likeliest one; temperature, top_k, top_p and seed have no effect.
  bool do_sample = false;
  float temperature = 1.0f; ///< at least 0; 0: every token is the likeliest one
  int64_t top_k = 50;       ///< at least 0; 0: no limit
  float top_p = 1.0f;       ///< in [0, 1]; 0: every token is the likeliest one
  /// Logits of earlier tokens, including the prompt's, are divided by it if positive, else multiplied. 1:
  /// off.
  float repetition_penalty = 1.0f;
  /// Added to the logits of these tokens: OpenAI's logit_bias.
  std::vector<std::pair<TokenId, float>> logit_bias = {};
  /// Subtracted from a token's logit: the first once for each time that the token was generated, the second once if it
  /// was. Tokens of the prompt do not count. OpenAI's frequency_penalty and presence_penalty.
  float frequency_penalty = 0.0f, presence_penalty = 0.0f;
  /// The random number of a token depends only on the seed, the token's position in the text, and `copy`. `copy` is the
  /// number of equal prompts before this one in a batch. So every device can compute the number. It is floor(x / 256) /
  /// 2^24 with x the first word of Philox4x32-10(key = seed, counter = (position, 0, copy, 0)). The chosen token is the
  /// first, in order of id, at which the sum of probabilities exceeds that number.
  uint64_t seed = 0;
  /// Generation ends before the first of these texts. Needs a tokenizer. No text may be empty.
  std::vector<std::string> stop = {};
  /// Tokens that end the text. Empty: ModelConfig::eos_ids.
  std::vector<TokenId> eos_ids = {};
  /// True: generation continues past the tokens that end a text.
  bool ignore_eos = false;
  /// Called after bias and penalties and before temperature, top_k and top_p, as transformers calls a LogitsProcessor.
  /// An error ends generation if it leaves NaN, +infinity or no finite number. With it, devices decode one token at a
  /// time, and the host chooses each.
  LogitsCallback on_logits = {};

  /// Whether the logits are changed before a token is chosen.
  bool changesLogits() const {
    return repetition_penalty != 1.0f || frequency_penalty != 0 || presence_penalty != 0 ||
           !logit_bias.empty() || on_logits;
  }
  /// Whether tokens are sampled at random.
  bool draws() const { return do_sample && temperature > 0 && top_p > 0; }
};

} // namespace linnet
