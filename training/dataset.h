// From records to batches: tokens, labels, a held-out part, packing and padding.
#pragma once
#include "support/result.h"
#include "tokenizer/tokenizer.h"
#include "training/batch.h"
#include "training/records.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace linnet::training {

/// Names of a classifier's labels by id.
using LabelNames = std::vector<std::string>;

/// The labels of a file: in the order of their numbers where all are numbers from 0 without a gap, else
/// sorted by their bytes. One label only is an error: there is nothing to tell apart.
Result<LabelNames> labelsIn(const std::vector<Record> &records, const std::string &where);
/// Each record's label as an id of `names`. A label that is none of them is an error that lists them; a
/// number is an id where no label has that name.
Result<std::vector<int32_t>> labelIds(const std::vector<Record> &records, const LabelNames &names,
                                      const std::string &where);

/// Numbers of the examples to train on and of those held out, each in the file's order.
struct Split {
  std::vector<size_t> train, held_out;
};
/// A `share` of each label's examples (rounded to the nearest whole number) is held out. Both parts of every
/// label with two examples or more get at least one, unless share is 0.
Split splitByLabel(const std::vector<int32_t> &labels, double share, uint64_t seed);
/// A `share` of all.
Split splitEvenly(size_t count, double share, uint64_t seed);

/// Tokens of many texts behind each other, an end-of-text token after each text, and which of them a loss
/// counts.
struct TokenStream {
  std::vector<TokenId> ids;
  std::vector<uint8_t> learned; ///< 0: read, not learned (a prompt)
  void append(const TokenStream &other);
  /// The first `count` tokens, and the rest.
  std::pair<TokenStream, TokenStream> cut(size_t count) const;
};
/// `records[i]` for each i of `which`. The token that ends a text is the tokenizer's eos; without one, texts
/// follow each other with nothing between.
Result<TokenStream> streamOf(const std::vector<Record> &records, const std::vector<size_t> &which,
                             const Tokenizer &tokenizer, const std::string &where);

/// Windows of `seq` tokens, `rows` to a batch. In epoch e the first window starts at a token drawn from the
/// seed, so that borders fall elsewhere each time; the windows' order is drawn, too. `shuffled` false:
/// windows from the first token on, in order, the last one short: for measuring. A stream of fewer than two
/// tokens is an error.
Result<std::unique_ptr<BatchSource>> packedBatches(TokenStream stream, int64_t rows, int64_t seq,
                                                   uint64_t seed, bool shuffled);

/// A text's tokens and its label's id.
struct Example {
  std::vector<TokenId> ids;
  int32_t label = 0;
};
/// Texts longer than `max_seq` tokens lose their ends, as transformers truncates; `cut` counts them.
Result<std::vector<Example>> examplesOf(const std::vector<Record> &records,
                                        const std::vector<int32_t> &labels, const Tokenizer &tokenizer,
                                        size_t max_seq, const std::string &where, size_t &cut);

/// The shortest first, those of one length as they were. Example i was number result[i] before.
std::vector<size_t> sortByLength(std::vector<Example> &examples);

/// Batches of at most `rows` examples of like length: of each run of 16 batches in the drawn order, the
/// examples are sorted by length, and then the batches' order is drawn. `shuffled` false: in the examples'
/// order.
std::unique_ptr<BatchSource> paddedBatches(std::vector<Example> examples, int64_t rows, uint64_t seed,
                                           bool shuffled);

/// Rows of `width` numbers with a label each: embeddings that were computed once.
struct Features {
  int64_t width = 0;
  std::vector<float> values; ///< [labels.size(), width]
  std::vector<int32_t> labels;
};
std::unique_ptr<BatchSource> featureBatches(Features features, int64_t rows, uint64_t seed, bool shuffled);

} // namespace linnet::training
