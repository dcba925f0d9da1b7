// Learning a byte-level BPE vocabulary from text.
#pragma once
#include "tokenizer/tokenizer.h"
#include <functional>

namespace linnet {

struct TrainOptions {
  /// Ids in all: special tokens first, then the 256 bytes, then one for each merge. At least the first two.
  size_t vocab_size = 50257;
  /// A pair that occurs less often is not merged: training may end with a smaller vocabulary.
  size_t min_frequency = 2;
  /// Ids 0, 1, ... Where one stands in the text it is a border, and its characters are not learned from.
  /// "<|endoftext|>" becomes bos, eos and unk.
  std::vector<std::string> special_tokens = {"<|endoftext|>"};
  /// Called now and then with the size of the vocabulary so far and vocab_size; false ends the training with
  /// an error.
  std::function<bool(size_t done, size_t total)> progress;
};

/// Counts words (GPT-2's pre-split), then merges the most frequent pair of neighbours until the vocabulary is
/// full. Of equally frequent pairs the one with the smaller ids wins (first the left id, then the right), and
/// new tokens are numbered as they arise: what Hugging Face tokenizers' BpeTrainer does, given ByteLevel's
/// alphabet. The result depends on nothing but the texts' content; their order does not matter. Ill-formed
/// UTF-8 counts as U+FFFD.
Result<Tokenizer> trainBpe(std::span<const std::string_view> texts, const TrainOptions &options = {});

} // namespace linnet
