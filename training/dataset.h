// Converts records to batches: tokens, labels, held-out data, packing and padding.
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

/// The labels of a file, sorted by number if all are numbers from 0 without a gap, else by their bytes. A
/// single label is an error: a classifier needs at least two.
Result<LabelNames> labelsIn(const std::vector<Record> &records, const std::string &where);
/// Each record's label as an index in `names`. A number is an index if no label has that name. An unknown
/// label is an error that lists the names.
Result<std::vector<int32_t>> labelIds(const std::vector<Record> &records, const LabelNames &names,
                                      const std::string &where);

/// A part of a text, in bytes.
struct Stretch {
  size_t record = 0, begin = 0, end = 0;
};
/// Indices of the examples to train on and of the held-out ones, each in the file's order.
struct Split {
  std::vector<size_t> train, held_out;
  std::vector<Stretch> stretches; ///< held-out parts of texts in `train`, at most one per text, in order
};
/// Holds out a `share` of each label's examples, rounded to the nearest whole number. Unless share is 0, both
/// parts have at least one example of every label that has two or more.
Split splitByLabel(const std::vector<int32_t> &labels, double share, uint64_t seed);
/// Holds out a `share` of all examples.
Split splitEvenly(size_t count, double share, uint64_t seed);

/// The concatenated tokens of many texts, an end-of-text token after each text, and which tokens the loss
/// counts.
struct TokenStream {
  std::vector<TokenId> ids;
  std::vector<uint8_t> learned; ///< 0: not counted by the loss (a prompt)
  void push(TokenId id, bool is_learned);
};
/// Appends texts to streams. Each text gets the ids that the tokenizer adds around texts, and then `end`, the
/// token that ends a text, if there is one.
class StreamWriter {
public:
  /// Errors begin with `where`.
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
/// The stream of records[i] for each i in `which`.
Result<TokenStream> streamOf(const std::vector<Record> &records, const std::vector<size_t> &which,
                             const Tokenizer &tokenizer, std::optional<TokenId> end,
                             const std::string &where);

/// Batches of `rows` windows of `seq` tokens. They predict each token of the stream except the first once per
/// epoch. The first and the last window are shorter. The length of the first one is drawn from the seed for
/// each epoch, so that windows begin at other tokens each time. The order of windows is drawn, too.
/// `shuffled` false is for evaluation: windows from the first token on, in order, the last one shorter. A
/// stream of fewer than two tokens is an error.
Result<std::unique_ptr<BatchSource>> packedBatches(TokenStream stream, int64_t rows, int64_t seq,
                                                   uint64_t seed, bool shuffled);

/// A text's tokens and its label's id.
struct Example {
  std::vector<TokenId> ids;
  int32_t label = 0;
};
/// Texts longer than `max_seq` tokens are cut at their ends, like in transformers. `cut` receives their
/// number.
Result<std::vector<Example>> examplesOf(const std::vector<Record> &records,
                                        const std::vector<int32_t> &labels, const Tokenizer &tokenizer,
                                        size_t max_seq, const std::string &where, size_t &cut);

/// Sorts by length, shortest first; the sort is stable. Example i had the index result[i] before.
std::vector<size_t> sortByLength(std::vector<Example> &examples);

/// Batches of at most `rows` examples of similar length. Examples are shuffled, then sorted by length within
/// each run of 16 batches, and then the batches are shuffled. `shuffled` false: in the order of the examples.
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
