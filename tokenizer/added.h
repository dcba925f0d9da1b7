// Finds added tokens in text: a trie over their contents, longest match first, like Hugging Face's
// AddedVocabulary.
#pragma once
#include "tokenizer/tables.h"

#include <array>
#include <unordered_map>

namespace linnet {

/// A part of a text: an added token, or plain text (id -1).
struct Piece {
  std::string_view text;
  TokenId id = -1;
};

class AddedTokenMatcher {
public:
  explicit AddedTokenMatcher(std::shared_ptr<const TokenizerTables> tables);
  /// Splits `text` into pieces at the tokens that are not `normalized`. The pieces cover it, except for white
  /// space that a token's lstrip or rstrip absorbed.
  std::vector<Piece> split(std::string_view text, bool parse_special) const;
  /// Splits normalized text at the other tokens.
  std::vector<Piece> splitNormalized(std::string_view text, bool parse_special) const;

private:
  // Tokens with `normalized` are searched only in the plain text between the others, by their normalized content.
  class Trie {
  public:
    void insert(std::string_view content, TokenId id);
    /// The longest token at the start of `text`, or -1. Sets its length in the text.
    TokenId longest(std::string_view text, size_t &length) const;
    size_t nextCandidate(std::string_view text, size_t from) const;
    bool empty() const { return ids.empty(); }

  private:
    std::unordered_map<uint64_t, uint32_t> edges; // node << 8 | byte -> node
    std::vector<TokenId> ids;                     // by node, -1: not the end of a token
    std::array<bool, 256> starts{};
    int only_start = -1; // the single first byte, if there is just one
  };
  void splitBy(const Trie &trie, std::string_view text, bool parse_special, std::vector<Piece> &out) const;

  std::shared_ptr<const TokenizerTables> tables;
  Trie verbatim, normalized;
};

} // namespace linnet
