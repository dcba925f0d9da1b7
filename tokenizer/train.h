// Learns a byte-level BPE vocabulary from text.
#pragma once
#include "tokenizer/tokenizer.h"
#include <functional>

namespace linnet {

struct TrainOptions {
  /// Total number of ids: special tokens first, then the 256 bytes, then one for each merge. At least the
  /// first two kinds.
  size_t vocab_size = 50257;
  /// A pair that occurs less often is not merged, so the vocabulary may become smaller.
  size_t min_frequency = 2;
  /// Tokens with ids 0, 1, .... In the text they separate words, and their characters are not learned.
  /// "<|endoftext|>" becomes bos, eos and unk.
  std::vector<std::string> special_tokens = {"<|endoftext|>"};
  /// Called from time to time with the current size of the vocabulary and vocab_size. Returning false ends
  /// the training with an error.
  std::function<bool(size_t done, size_t total)> progress;
};

/// Counts words (GPT-2's pre-split), then merges the most frequent pair of neighbours until the vocabulary is
/// full. Ties go to the pair with the smaller ids (first the left id, then the right). New tokens are
/// numbered in the order of their creation. Hugging Face tokenizers' BpeTrainer with ByteLevel's alphabet
/// gives the same result. It depends only on the content of the texts, not on their order. Ill-formed UTF-8
/// counts as U+FFFD.
Result<Tokenizer> trainBpe(std::span<const std::string_view> texts, const TrainOptions &options = {});

} // namespace linnet
