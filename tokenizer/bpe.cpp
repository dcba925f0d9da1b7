#include "tokenizer/bpe.h"
#include "support/error.h"
#include "tokenizer/unicode.h"

#include <algorithm>
#include <functional>

namespace linnet {
namespace {
constexpr uint32_t kNone = TokenizerTables::kNone;
}

template <class Put> Result<void> WordEncoder::symbolsOf(std::string_view word, Put put) const {
  if (!tables.byte_level) return charactersOf(word, put);
  bool in_unknown = false;
  for (char c : word) {
    auto byte = static_cast<unsigned char>(c);
    if (TokenId id = tables.byte_ids[byte]; id >= 0) {
      put(static_cast<uint32_t>(id));
      in_unknown = false;
      continue;
    }
    switch (tables.missingByte()) {
    case MissingByte::Refused:
      return errorf("cannot encode: the vocabulary has no token for the byte 0x{:02x} and no unknown token",
                    byte);
    case MissingByte::Dropped:
      break;
    case MissingByte::Skipped:
      put(kNone);
      break;
    case MissingByte::Unknown:
      if (!in_unknown || !tables.has(TokenizerTables::kFuseUnknown))
        put(static_cast<uint32_t>(tables.header->unknown_byte));
      in_unknown = true;
      break;
    }
  }
  return {};
}

template <class Put> Result<void> WordEncoder::charactersOf(std::string_view word, Put put) const {
  // An unknown token waits until a character with a token comes. Bytes that a character falls back to do not end
  // its waiting: so does Hugging Face tokenizers.
  bool unknown = false;
  for (size_t at = 0; at < word.size();) {
    size_t begin = at;
    uint32_t c = unicode::next(word.data(), at);
    std::string_view character = word.substr(begin, at - begin);
    TokenId id =
        c < tables.ascii_ids.size() ? tables.ascii_ids[c] : tables.find(character, true).value_or(-1);
    if (id >= 0 && !(tables.flags[static_cast<size_t>(id)] & TokenizerTables::kInVocab)) id = -1;
    if (id >= 0) {
      if (unknown) put(static_cast<uint32_t>(tables.header->unknown_byte));
      unknown = false;
      put(static_cast<uint32_t>(id));
      continue;
    }
    auto fallsBack = [&](char byte) { return tables.byte_ids[static_cast<unsigned char>(byte)] >= 0; };
    if (tables.has(TokenizerTables::kByteFallback) &&
        std::all_of(character.begin(), character.end(), fallsBack)) {
      for (char byte : character)
        put(static_cast<uint32_t>(tables.byte_ids[static_cast<unsigned char>(byte)]));
      continue;
    }
    switch (tables.missingByte()) {
    case MissingByte::Refused:
      return errorf("cannot encode: the vocabulary has no token for U+{:04X} and no unknown token", c);
    case MissingByte::Dropped:
      break;
    case MissingByte::Skipped:
      put(kNone);
      break;
    case MissingByte::Unknown:
      if (unknown && !tables.has(TokenizerTables::kFuseUnknown))
        put(static_cast<uint32_t>(tables.header->unknown_byte));
      unknown = true;
      break;
    }
  }
  if (unknown) put(static_cast<uint32_t>(tables.header->unknown_byte));
  return {};
}

Result<void> WordEncoder::merge(std::string_view word, std::vector<TokenId> &out) {
  if (word.size() <= kShort) return mergeShort(word, out);
  if (word.size() >= kNone) return errorf("cannot encode: a word of {} bytes (at most 4 GiB)", word.size());
  return mergeLong(word, out);
}

Result<void> WordEncoder::mergeShort(std::string_view word, std::vector<TokenId> &out) {
  uint32_t ids[kShort], ranks[kShort];
  size_t n = 0;
  LINNET_TRY(symbolsOf(word, [&](uint32_t symbol) { ids[n++] = symbol; }));
  for (size_t i = 0; i + 1 < n; ++i) ranks[i] = tables.rankOf(ids[i], ids[i + 1]);
  while (n > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < n; ++i)
      if (ranks[i] < ranks[best]) best = i;
    if (ranks[best] == kNone) break;
    ids[best] = tables.merges[ranks[best]].result;
    std::copy(ids + best + 2, ids + n, ids + best + 1);
    std::copy(ranks + best + 1, ranks + n - 1, ranks + best);
    --n;
    if (best > 0) ranks[best - 1] = tables.rankOf(ids[best - 1], ids[best]);
    if (best + 1 < n) ranks[best] = tables.rankOf(ids[best], ids[best + 1]);
  }
  for (size_t i = 0; i < n; ++i)
    if (ids[i] != kNone) out.push_back(static_cast<TokenId>(ids[i]));
  return {};
}

Result<void> WordEncoder::mergeLong(std::string_view word, std::vector<TokenId> &out) {
  symbols.clear();
  heap.clear();
  LINNET_TRY(symbolsOf(word, [&](uint32_t symbol) {
    auto at = static_cast<uint32_t>(symbols.size());
    if (at) symbols.back().next = at;
    symbols.push_back({symbol, kNone, at ? at - 1 : kNone, kNone});
  }));
  if (symbols.empty()) return {};
  for (uint32_t i = 0; i + 1 < symbols.size(); ++i) {
    symbols[i].rank = tables.rankOf(symbols[i].id, symbols[i + 1].id);
    if (symbols[i].rank != kNone) heap.push_back(uint64_t(symbols[i].rank) << 32 | i);
  }
  std::make_heap(heap.begin(), heap.end(), std::greater<>());
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), std::greater<>());
    uint64_t top = heap.back();
    heap.pop_back();
    auto at = static_cast<uint32_t>(top);
    if (symbols[at].rank == top >> 32) mergeAt(at);
  }
  for (uint32_t i = 0; i != kNone; i = symbols[i].next)
    if (symbols[i].id != kNone) out.push_back(static_cast<TokenId>(symbols[i].id));
  return {};
}

// Merges the symbol at `at` with the next one, which is removed from the list.
void WordEncoder::mergeAt(uint32_t at) {
  Symbol &left = symbols[at];
  Symbol &right = symbols[left.next];
  left.id = tables.merges[left.rank].result;
  left.next = right.next;
  right.rank = kNone;
  if (left.next != kNone) symbols[left.next].previous = at;
  rerank(at);
  if (left.previous != kNone) rerank(left.previous);
}

void WordEncoder::rerank(uint32_t at) {
  Symbol &s = symbols[at];
  s.rank = s.next == kNone ? kNone : tables.rankOf(s.id, symbols[s.next].id);
  if (s.rank == kNone) return;
  heap.push_back(uint64_t(s.rank) << 32 | at);
  std::push_heap(heap.begin(), heap.end(), std::greater<>());
}

} // namespace linnet
