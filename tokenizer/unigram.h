// Unigram: the segmentation of a word whose pieces have the largest sum of scores (Viterbi).
#pragma once
#include "tokenizer/tables.h"

namespace linnet {

class UnigramEncoder {
public:
  explicit UnigramEncoder(const TokenizerTables &t) : tables(t) {}
  /// Appends the tokens of `word` (well-formed UTF-8) to `out`.
  Result<void> encode(std::string_view word, std::vector<TokenId> &out);

private:
  struct Best {
    double score = 0; // of the best path that ends here
    size_t begin = 0; // of its last piece
    TokenId id = -1;  // of its last piece; -1: no path ends here
  };
  void search(std::string_view word);
  Result<void> add(std::string_view piece, std::vector<TokenId> &out) const;

  const TokenizerTables &tables;
  std::vector<Best> ends; // by offset
  std::vector<std::string_view> pieces;
};

} // namespace linnet
