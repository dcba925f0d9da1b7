#include "tokenizer/added.h"
#include "tokenizer/unicode.h"

#include <cstring>

namespace linnet {
namespace {

// The character that ends at offset `end` (> 0) of well-formed text. Sets `begin` to its offset.
uint32_t previous(std::string_view text, size_t end, size_t &begin) {
  begin = unicode::previous(text, end);
  size_t at = begin;
  return unicode::next(text.data(), at);
}

bool isSpace(uint32_t c) { return unicode::classOf(c) == unicode::Class::Space; }

bool wordBefore(std::string_view text, size_t at) {
  size_t begin;
  return at > 0 && unicode::isWord(previous(text, at, begin));
}

bool wordAfter(std::string_view text, size_t at) {
  return at < text.size() && unicode::isWord(unicode::next(text.data(), at));
}

size_t withoutSpaceBefore(std::string_view text, size_t at, size_t floor) {
  for (size_t begin; at > floor && isSpace(previous(text, at, begin)); at = begin) {
  }
  return at;
}

size_t behindSpaceAfter(std::string_view text, size_t at) {
  for (size_t next = at; next < text.size() && isSpace(unicode::next(text.data(), next)); at = next) {
  }
  return at;
}

} // namespace

void AddedTokenMatcher::Trie::insert(std::string_view content, TokenId id) {
  if (ids.empty()) ids.push_back(-1);
  auto first = static_cast<unsigned char>(content[0]);
  only_start = edges.empty() || only_start == first ? first : -1;
  starts[first] = true;
  uint32_t node = 0;
  for (char c : content) {
    auto [edge, is_new] = edges.try_emplace(uint64_t(node) << 8 | static_cast<unsigned char>(c),
                                            static_cast<uint32_t>(ids.size()));
    if (is_new) ids.push_back(-1);
    node = edge->second;
  }
  if (ids[node] < 0) ids[node] = id;
}

TokenId AddedTokenMatcher::Trie::longest(std::string_view text, size_t &length) const {
  TokenId found = -1;
  uint32_t node = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    auto edge = edges.find(uint64_t(node) << 8 | static_cast<unsigned char>(text[i]));
    if (edge == edges.end()) break;
    node = edge->second;
    if (ids[node] >= 0) found = ids[node], length = i + 1;
  }
  return found;
}

size_t AddedTokenMatcher::Trie::nextCandidate(std::string_view text, size_t from) const {
  if (only_start >= 0) {
    const void *at =
        from < text.size() ? std::memchr(text.data() + from, only_start, text.size() - from) : nullptr;
    return at ? static_cast<size_t>(static_cast<const char *>(at) - text.data()) : text.size();
  }
  while (from < text.size() && !starts[static_cast<unsigned char>(text[from])]) ++from;
  return from;
}

AddedTokenMatcher::AddedTokenMatcher(std::shared_ptr<const TokenizerTables> t) : tables(std::move(t)) {
  for (uint32_t id : tables->added) {
    auto token = static_cast<TokenId>(id);
    std::string_view content = tables->bytesOf(token);
    if (!(tables->flags[id] & TokenizerTables::kNormalized)) {
      verbatim.insert(content, token);
    } else if (!tables->stages) {
      normalized.insert(content, token);
    } else if (auto its = tables->stages->normalized(content); its && !its->empty()) {
      normalized.insert(*its, token);
    }
  }
}

std::vector<Piece> AddedTokenMatcher::split(std::string_view text, bool parse_special) const {
  std::vector<Piece> pieces;
  splitBy(verbatim, text, parse_special, pieces);
  return pieces;
}

std::vector<Piece> AddedTokenMatcher::splitNormalized(std::string_view text, bool parse_special) const {
  std::vector<Piece> pieces;
  splitBy(normalized, text, parse_special, pieces);
  return pieces;
}

void AddedTokenMatcher::splitBy(const Trie &trie, std::string_view text, bool parse_special,
                                std::vector<Piece> &out) const {
  size_t plain = 0; // begin of the plain text that is not yet a piece
  for (size_t at = trie.empty() ? text.size() : trie.nextCandidate(text, 0); at < text.size();) {
    size_t length = 0;
    TokenId id = trie.longest(text.substr(at), length);
    if (id < 0) {
      at = trie.nextCandidate(text, at + 1);
      continue;
    }
    uint16_t flags = tables->flags[static_cast<size_t>(id)];
    size_t begin = at, end = at + length;
    at = trie.nextCandidate(text, end);
    if ((flags & TokenizerTables::kSpecial) && !parse_special) continue;
    if ((flags & TokenizerTables::kSingleWord) && (wordBefore(text, begin) || wordAfter(text, end))) continue;
    if (flags & TokenizerTables::kLstrip) begin = withoutSpaceBefore(text, begin, plain);
    if (flags & TokenizerTables::kRstrip) end = behindSpaceAfter(text, end);
    if (plain < begin) out.push_back({text.substr(plain, begin - plain), -1});
    out.push_back({text.substr(begin, end - begin), id});
    plain = end;
    if (at < plain) at = trie.nextCandidate(text, plain);
  }
  if (plain < text.size()) out.push_back({text.substr(plain), -1});
}

} // namespace linnet
