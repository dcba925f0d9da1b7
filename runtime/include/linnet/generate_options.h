// How a text is continued.
#pragma once
#include "linnet/tokenizer.h"

#include <cstdint>
#include <string>
#include <vector>

namespace linnet {

/// As transformers' generate() understands them, in its order: repetition penalty, temperature, top_k, top_p.
struct GenerateOptions {
  int64_t max_new_tokens = 128;
  /// False: the likeliest token each time (temperature, top_k, top_p and seed are not looked at).
  bool do_sample = false;
  float temperature = 1.0f; ///< 0 or more; 0: the likeliest token each time
  int64_t top_k = 50;       ///< 0: all
  float top_p = 1.0f;       ///< from 0 to 1; 0: the likeliest token each time
  /// Logits of tokens seen before (prompt included) are divided by it where positive, else multiplied. 1:
  /// off.
  float repetition_penalty = 1.0f;
  /// The random number of a token is made from seed, its position in the text, and how many equal prompts
  /// stand before this one in a batch, and from nothing else, so that any device can compute it: the first
  /// word x of Philox4x32-10(key = seed, counter = (position, 0, copy, 0)), as floor(x / 256) / 2^24. The
  /// token chosen is the first, in order of id, at which the sum of the probabilities exceeds that number.
  uint64_t seed = 0;
  /// Generation ends before the first of these texts; needs a tokenizer. None may be empty.
  std::vector<std::string> stop = {};
  /// Tokens that end the text. Empty: ModelConfig::eos_ids.
  std::vector<TokenId> eos_ids = {};
  /// True: go on past the tokens that end a text.
  bool ignore_eos = false;

  /// Whether tokens are drawn at random.
  bool draws() const { return do_sample && temperature > 0 && top_p > 0; }
};

} // namespace linnet
