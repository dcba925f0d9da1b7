#include "tokenizer/unigram.h"
#include "support/error.h"
#include "tokenizer/unicode.h"

namespace linnet {
namespace {
constexpr double kUnknownPenalty = 10; // SentencePiece's kUnkPenalty
} // namespace

// The sums are added in the order of the text, in f64, as Hugging Face tokenizers does: near-ties depend on it.
void UnigramEncoder::search(std::string_view word) {
  constexpr TokenId kUnknown = -2; // a character that is no piece
  ends.assign(word.size() + 1, {});
  for (size_t at = 0; at < word.size();) {
    size_t next = at;
    unicode::next(word.data(), next);
    const size_t character = next - at;
    const double here = ends[at].score;
    bool is_piece = false;
    auto offer = [&](size_t length, TokenId id, double score) {
      Best &end = ends[at + length];
      if (end.id == -1 || score > end.score) end = {score, at, id};
    };
    tables.pieces->visitPrefixes(word.substr(at), [&](size_t length, TokenId id) {
      offer(length, id, tables.scores[static_cast<size_t>(id)] + here);
      is_piece |= length == character;
    });
    if (!is_piece) offer(character, kUnknown, tables.least_score - kUnknownPenalty + here);
    at = next;
  }
}

Result<void> UnigramEncoder::encode(std::string_view word, std::vector<TokenId> &out) {
  search(word);
  const TokenId unknown = tables.header->unknown_byte;
  auto isUnknown = [&](TokenId id) { return id < 0 || id == unknown; };
  pieces.clear();
  for (size_t end = word.size(); end > 0;) {
    size_t begin = ends[end].begin;
    // Neighbouring unknown pieces are one.
    if (isUnknown(ends[end].id))
      while (begin > 0 && isUnknown(ends[begin].id)) begin = ends[begin].begin;
    pieces.push_back(word.substr(begin, end - begin));
    end = begin;
  }
  for (; !pieces.empty(); pieces.pop_back()) LINNET_TRY(add(pieces.back(), out));
  return {};
}

Result<void> UnigramEncoder::add(std::string_view piece, std::vector<TokenId> &out) const {
  if (auto id = tables.find(piece, true);
      id && tables.flags[static_cast<size_t>(*id)] & TokenizerTables::kInVocab)
    return out.push_back(*id), Result<void>();
  if (tables.has(TokenizerTables::kByteFallback)) {
    size_t before = out.size();
    for (char c : piece)
      if (TokenId id = tables.byte_ids[static_cast<unsigned char>(c)]; id >= 0) out.push_back(id);
    if (out.size() == before + piece.size()) return {};
    out.resize(before);
  }
  if (tables.header->unknown_byte < 0)
    return errorf("cannot encode: the vocabulary has no token for \"{}\" and no unknown token",
                  piece.substr(0, 40));
  out.push_back(tables.header->unknown_byte);
  return {};
}

} // namespace linnet
