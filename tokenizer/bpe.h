// Byte-pair merging of one word: repeatedly merges the pair with the lowest rank, the leftmost for ties,
// until no neighbours have a merge. Short words search linearly; long ones use a heap, O(n log n).
#pragma once
#include "tokenizer/tables.h"

namespace linnet {

class WordEncoder {
public:
  explicit WordEncoder(const TokenizerTables &t) : tables(t) {}
  /// Appends the tokens of `word` (below 4 GiB; any bytes, or UTF-8 if the vocabulary does not spell bytes) to
  /// `out`. Uses only merges.
  Result<void> merge(std::string_view word, std::vector<TokenId> &out);

private:
  static constexpr size_t kShort = 48;
  /// Calls `put` with the symbol of each byte or character: its token, or TokenizerTables::kNone for a skipped one,
  /// which has no merges. Dropped ones have no symbol. There are at most as many symbols as bytes.
  template <class Put> Result<void> symbolsOf(std::string_view word, Put put) const;
  template <class Put> Result<void> charactersOf(std::string_view word, Put put) const;
  Result<void> mergeShort(std::string_view word, std::vector<TokenId> &out);
  Result<void> mergeLong(std::string_view word, std::vector<TokenId> &out);
  void mergeAt(uint32_t at);
  void rerank(uint32_t at);

  const TokenizerTables &tables;
  // A linked list of a long word's symbols. `rank` is that of the pair which begins with the symbol.
  struct Symbol {
    uint32_t id, rank, previous, next;
  };
  std::vector<Symbol> symbols;
  std::vector<uint64_t> heap; // rank << 32 | position; entries whose rank has changed are stale
};

} // namespace linnet
