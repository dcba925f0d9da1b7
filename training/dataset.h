// From records to batches: tokens, labels, a held-out part, packing and padding.
#pragma once
#include "support/result.h"
#include "tokenizer/tokenizer.h"
#include "training/batch.h"
#include "training/records.h"

#include <cstdint>
#include <memory>
#include <optional>
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

/// A part of a text, in bytes.
struct Stretch {
  size_t record = 0, begin = 0, end = 0;
};
/// Numbers of the examples to train on and of those held out, each in the file's order.
struct Split {
  std::vector<size_t> train, held_out;
  std::vector<Stretch> stretches; ///< held out of texts in `train`; at most one of each, in their order
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
  void push(TokenId id, bool is_learned);
};
/// Appends texts to streams. Each is surrounded by the ids that the tokenizer puts around a text, and
/// followed by `end`, the token that ends a text. Without one, texts follow each other with nothing between.
class StreamWriter {
public:
  /// `where` starts errors.
  StreamWriter(const Tokenizer &tokenizer, std::optional<TokenId> end, std::string where);

  Result<void> addRecord(const Record &record, TokenStream &stream) const;
  // The same in steps.
  void addStart(TokenStream &stream, bool learned) const;
  Result<void> addPart(std::string_view text, int64_t line, bool learned, TokenStream &stream) const;
  void addEnd(TokenStream &stream) const;

private:
  const Tokenizer &tokenizer;
  std::vector<TokenId> prefix, suffix;
  std::string where;
};
/// `records[i]` for each i of `which`.
Result<TokenStream> streamOf(const std::vector<Record> &records, const std::vector<size_t> &which,
                             const Tokenizer &tokenizer, std::optional<TokenId> end,
                             const std::string &where);

/// Windows of `seq` tokens, `rows` to a batch, which predict each token of the stream but the first once an
/// epoch. The first and the last window are short; how short the first one is, is drawn for each epoch from
/// the seed, so that borders fall elsewhere each time. The windows' order is drawn, too. `shuffled` false:
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
