// Converts TokenizerParts to binary tables and back.
#include "support/error.h"
#include "tokenizer/bpe.h"
#include "tokenizer/byte_level.h"
#include "tokenizer/unicode.h"
#include "tokenizer/unigram.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <unordered_map>

namespace linnet {
namespace {
using T = TokenizerTables;

class Builder {
public:
  explicit Builder(const TokenizerParts &p) : parts(p) {}
  Result<std::vector<std::byte>> build();

private:
  Result<void> takeStages();
  Result<void> takeVocabulary();
  Result<void> takeScores();
  Result<void> takeAdded();
  Result<void> takeAdded(const AddedToken &token);
  Result<void> takeMerges();
  Result<void> checkIds() const;
  void grow(TokenId id);
  T::Header makeHeader() const;
  void writeSections(std::vector<std::byte> &out, const T::Header &header) const;
  Result<void> markWholeWords(std::vector<std::byte> &out) const;

  const TokenizerParts &parts;
  std::unordered_map<std::string_view, TokenId> by_spelling; // the model's vocabulary
  std::vector<std::string> texts;                            // bytes, by id
  std::vector<uint16_t> flags;
  std::vector<T::Merge> merges;
  std::vector<uint32_t> added;
  std::vector<double> scores;
  bool byte_level = true;
  int32_t byte_ids[256];
};

Result<void> Builder::takeStages() {
  if (!parts.stages.empty()) {
    auto stages = Stages::parse(parts.stages);
    if (!stages) return errorf("tokenizer: {}", stages.error().message);
    byte_level = (*stages)->byteLevel();
  }
  if (byte_level && parts.byte_fallback)
    return Error{"tokenizer: byte_fallback with ByteLevel is not supported"};
  if (byte_level && parts.model == ModelKind::Unigram)
    return Error{"tokenizer: Unigram with ByteLevel is not supported"};
  return {};
}

Result<void> Builder::takeScores() {
  if (parts.model != ModelKind::Unigram) return {};
  if (!parts.merges.empty() || parts.scores.size() != parts.tokens.size())
    return errorf("tokenizer: expected {} scores and no merges, found {} and {}", parts.tokens.size(),
                  parts.scores.size(), parts.merges.size());
  scores = parts.scores;
  scores.resize(texts.size());
  return {};
}

void Builder::grow(TokenId id) {
  auto size = static_cast<size_t>(id) + 1;
  if (texts.size() < size) texts.resize(size), flags.resize(size);
}

Result<void> Builder::takeVocabulary() {
  std::fill(std::begin(byte_ids), std::end(byte_ids), -1);
  if (parts.tokens.size() > static_cast<size_t>(kMaxTokenId) + 1)
    return errorf("tokenizer: expected at most {} ids, found {}", kMaxTokenId + 1, parts.tokens.size());
  texts.resize(parts.tokens.size());
  flags.resize(parts.tokens.size());
  by_spelling.reserve(parts.tokens.size());
  for (size_t id = 0; id < parts.tokens.size(); ++id) {
    const std::string &spelling = parts.tokens[id];
    if (spelling.empty()) continue;
    if (!unicode::isValid(spelling)) return errorf("tokenizer: token {} is not UTF-8", id);
    if (!parts.scores.empty() && spelling.size() > kMaxPieceBytes)
      return errorf("tokenizer: token {} has {} bytes, and at most {} are supported beside scores", id,
                    spelling.size(), kMaxPieceBytes);
    auto [other, is_new] = by_spelling.emplace(spelling, static_cast<TokenId>(id));
    if (!is_new) return errorf("tokenizer: token \"{}\" has two ids, {} and {}", spelling, other->second, id);
    auto bytes = byte_level ? byte_level::unspell(spelling) : std::nullopt;
    flags[id] = T::kPresent | T::kInVocab | (bytes ? 0 : T::kLiteral);
    if (bytes && bytes->size() == 1)
      byte_ids[static_cast<unsigned char>((*bytes)[0])] = static_cast<int32_t>(id);
    if (int byte = byte_level || !parts.byte_fallback ? -1 : fallbackByte(spelling); byte >= 0)
      byte_ids[byte] = static_cast<int32_t>(id);
    texts[id] = bytes ? std::move(*bytes) : spelling;
  }
  return {};
}

Result<void> Builder::takeAdded() {
  for (const AddedToken &token : parts.added) LINNET_TRY(takeAdded(token));
  std::sort(added.begin(), added.end());
  std::unordered_map<std::string_view, uint32_t> contents;
  for (uint32_t id : added)
    if (auto [other, is_new] = contents.emplace(texts[id], id); !is_new)
      return errorf("tokenizer: added token \"{}\" has two ids, {} and {}", texts[id], other->second, id);
  return {};
}

Result<void> Builder::takeAdded(const AddedToken &token) {
  if (token.id < 0 || token.id > kMaxTokenId)
    return errorf("tokenizer: added token \"{}\": expected an id from 0 to {}, found {}", token.content,
                  kMaxTokenId, token.id);
  if (token.content.empty() || token.content.size() > kMaxAddedBytes || !unicode::isValid(token.content))
    return errorf("tokenizer: added token {}: expected UTF-8 text of 1 to {} bytes, found {} bytes", token.id,
                  kMaxAddedBytes, token.content.size());
  grow(token.id);
  auto id = static_cast<size_t>(token.id);
  bool in_vocab = flags[id] & T::kInVocab;
  if (flags[id] & T::kAdded) return errorf("tokenizer: id {} is given to two added tokens", id);
  if (in_vocab && parts.tokens[id] != token.content)
    return errorf("tokenizer: id {} is \"{}\" in the vocabulary and \"{}\" among the added tokens", id,
                  parts.tokens[id], token.content);
  if (auto known = by_spelling.find(token.content); known != by_spelling.end() && known->second != token.id)
    return errorf("tokenizer: added token \"{}\" has id {}, but {} in the vocabulary", token.content, id,
                  known->second);
  // An added token is its literal text, which may differ from the bytes of its spelling in the vocabulary.
  bool literal = !byte_level || byte_level::unspell(token.content) != token.content;
  texts[id] = token.content;
  flags[id] = T::kPresent | T::kAdded | (in_vocab ? T::kInVocab : 0) | (literal ? T::kLiteral : 0) |
              (token.special ? T::kSpecial : 0) | (token.lstrip ? T::kLstrip : 0) |
              (token.rstrip ? T::kRstrip : 0) | (token.single_word ? T::kSingleWord : 0) |
              (token.normalized ? T::kNormalized : 0);
  added.push_back(static_cast<uint32_t>(id));
  return {};
}

Result<void> Builder::takeMerges() {
  if (parts.merges.size() > (1u << 27))
    return errorf("tokenizer: {} merges are too many", parts.merges.size());
  merges.reserve(parts.merges.size());
  std::string joined;
  for (size_t i = 0; i < parts.merges.size(); ++i) {
    std::string_view line = parts.merges[i];
    size_t space = line.find(' ');
    if (space == 0 || space == std::string_view::npos || space + 1 == line.size() ||
        line.find(' ', space + 1) != std::string_view::npos)
      return errorf("tokenizer: merge {}: expected two pieces, found \"{}\"", i + 1, line);
    std::string_view left = line.substr(0, space), right = line.substr(space + 1);
    joined.assign(left).append(right);
    uint32_t ids[3];
    std::string_view pieces[3] = {left, right, joined};
    for (int k = 0; k < 3; ++k) {
      auto found = by_spelling.find(pieces[k]);
      if (found == by_spelling.end())
        return errorf("tokenizer: merge {} (\"{}\"): \"{}\" is not in the vocabulary", i + 1, line,
                      pieces[k]);
      ids[k] = static_cast<uint32_t>(found->second);
    }
    merges.push_back({ids[0], ids[1], ids[2]});
  }
  return {};
}

Result<void> Builder::checkIds() const {
  auto isToken = [&](TokenId id) {
    return id >= 0 && static_cast<size_t>(id) < flags.size() && flags[id] & T::kPresent;
  };
  std::pair<const char *, TokenId> named[] = {{"bos", parts.bos},
                                              {"eos", parts.eos},
                                              {"pad", parts.pad},
                                              {"unk", parts.unk},
                                              {"unknown byte", parts.unknown_byte}};
  for (auto [name, id] : named)
    if (id != -1 && !isToken(id))
      return errorf("tokenizer: the {} token has id {}, which is not a token", name, id);
  for (const auto *ids : {&parts.prefix, &parts.suffix}) {
    if (ids->size() > 1024) return errorf("tokenizer: a template of {} tokens is too long", ids->size());
    for (TokenId id : *ids)
      if (!isToken(id)) return errorf("tokenizer: the template has id {}, which is not a token", id);
  }
  if ((parts.missing_byte == MissingByte::Unknown) != (parts.unknown_byte >= 0))
    return errorf("tokenizer: the token of missing bytes has id {}, which contradicts their rule",
                  parts.unknown_byte);
  if (parts.model_max_length < 0) return errorf("tokenizer: model_max_length is {}", parts.model_max_length);
  uint64_t text_size = 0;
  for (const std::string &text : texts) text_size += text.size();
  if (text_size > 0xFFFFFFFFu) return errorf("tokenizer: {} bytes of tokens are too many", text_size);
  return {};
}

T::Header Builder::makeHeader() const {
  T::Header h = {};
  std::memcpy(h.magic, T::kMagic, 8);
  h.version = T::kVersion;
  h.header_size = sizeof(T::Header);
  h.n_ids = static_cast<uint32_t>(texts.size());
  for (size_t id = 0; id < texts.size(); ++id) {
    h.n_tokens += bool(flags[id] & T::kPresent);
    h.text_size += texts[id].size();
  }
  h.n_merges = static_cast<uint32_t>(merges.size());
  h.vocab_slots = std::bit_ceil(std::max<uint32_t>(1, h.n_tokens)) * 2;
  h.merge_slots = std::bit_ceil(std::max<uint32_t>(1, h.n_merges)) * 2;
  h.n_added = static_cast<uint32_t>(added.size());
  h.n_prefix = static_cast<uint32_t>(parts.prefix.size());
  h.n_suffix = static_cast<uint32_t>(parts.suffix.size());
  h.bos = parts.bos, h.eos = parts.eos, h.pad = parts.pad, h.unk = parts.unk;
  h.unknown_byte = -1;
  bool missing = std::find(std::begin(byte_ids), std::end(byte_ids), -1) != std::end(byte_ids);
  if (missing || !byte_level) {
    h.missing_byte = static_cast<uint32_t>(parts.missing_byte);
    h.unknown_byte = parts.unknown_byte;
    if (parts.fuse_unknown && parts.missing_byte == MissingByte::Unknown) h.settings |= T::kFuseUnknown;
  }
  if (parts.stages.empty() && parts.add_prefix_space) h.settings |= T::kAddPrefixSpace;
  if (parts.byte_fallback) h.settings |= T::kByteFallback;
  if (parts.model == ModelKind::Unigram) h.settings |= T::kUnigram;
  h.n_scores = static_cast<uint32_t>(scores.size());
  h.stages_size = static_cast<uint32_t>(parts.stages.size());
  if (parts.ignore_merges) h.settings |= T::kIgnoreMerges;
  if (parts.padding_side == Side::Left) h.settings |= T::kPadLeft;
  if (parts.truncation_side == Side::Left) h.settings |= T::kTruncateLeft;
  h.model_max_length = parts.model_max_length;
  h.total_size = T::layoutOf(h).total;
  return h;
}

template <class V> void put(std::vector<std::byte> &out, uint64_t at, const V *data, size_t n) {
  if (n) std::memcpy(out.data() + at, data, n * sizeof(V));
}

void Builder::writeSections(std::vector<std::byte> &out, const T::Header &h) const {
  T::Layout l = T::layoutOf(h);
  std::vector<uint32_t> offsets = {0}, vocab_slots(h.vocab_slots, T::kNone),
                        merge_slots(h.merge_slots, T::kNone);
  std::string text;
  for (size_t id = 0; id < texts.size(); ++id) {
    text += texts[id];
    offsets.push_back(static_cast<uint32_t>(text.size()));
    if (!(flags[id] & T::kPresent)) continue;
    size_t slot = T::hashBytes(texts[id]) >> (64 - std::countr_zero(h.vocab_slots));
    while (vocab_slots[slot] != T::kNone) slot = (slot + 1) & (h.vocab_slots - 1);
    vocab_slots[slot] = static_cast<uint32_t>(id);
  }
  for (uint32_t rank = 0; rank < merges.size(); ++rank) {
    const T::Merge &m = merges[rank];
    auto same = [&](uint32_t other) {
      return merges[other].left == m.left && merges[other].right == m.right;
    };
    size_t slot = T::hashPair(m.left, m.right) >> (64 - std::countr_zero(h.merge_slots));
    // For duplicate merges the last one counts, as in Hugging Face tokenizers.
    while (merge_slots[slot] != T::kNone && !same(merge_slots[slot])) slot = (slot + 1) & (h.merge_slots - 1);
    merge_slots[slot] = rank;
  }
  put(out, l.byte_ids, byte_ids, 256);
  put(out, l.offsets, offsets.data(), offsets.size());
  put(out, l.flags, flags.data(), flags.size());
  put(out, l.merges, merges.data(), merges.size());
  put(out, l.vocab_slots, vocab_slots.data(), vocab_slots.size());
  put(out, l.merge_slots, merge_slots.data(), merge_slots.size());
  put(out, l.added, added.data(), added.size());
  put(out, l.prefix, parts.prefix.data(), parts.prefix.size());
  put(out, l.suffix, parts.suffix.data(), parts.suffix.size());
  put(out, l.scores, scores.data(), scores.size());
  put(out, l.stages, parts.stages.data(), parts.stages.size());
  put(out, l.text, text.data(), text.size());
}

void seal(std::vector<std::byte> &out, T::Header h) {
  put(out, 0, &h, 1);
  h.checksum = T::checksumOf(out);
  put(out, 0, &h, 1);
}

// Marks a token if the model encodes its bytes to just this token. Most words of a text are such tokens, and one
// lookup finds them.
Result<void> Builder::markWholeWords(std::vector<std::byte> &out) const {
  LINNET_ASSIGN(auto tables, T::open(out, nullptr));
  T::Header h = *tables->header;
  WordEncoder merger(*tables);
  UnigramEncoder unigram(*tables);
  auto encode = [&](std::string_view word, std::vector<TokenId> &into) {
    return tables->pieces ? unigram.encode(word, into) : merger.merge(word, into);
  };
  std::vector<uint16_t> marked = flags;
  std::vector<TokenId> ids;
  for (size_t id = 0; id < texts.size(); ++id) {
    if (!(flags[id] & T::kInVocab) || (byte_level && flags[id] & T::kLiteral)) continue;
    ids.clear();
    if (!parts.ignore_merges && (!encode(texts[id], ids) || ids != std::vector{static_cast<TokenId>(id)}))
      continue;
    marked[id] |= T::kWhole;
    h.longest_word = std::max(h.longest_word, static_cast<uint32_t>(texts[id].size()));
  }
  put(out, T::layoutOf(h).flags, marked.data(), marked.size());
  seal(out, h);
  return {};
}

Result<std::vector<std::byte>> Builder::build() {
  LINNET_TRY(takeStages());
  LINNET_TRY(takeVocabulary());
  LINNET_TRY(takeMerges());
  LINNET_TRY(takeAdded());
  LINNET_TRY(takeScores());
  LINNET_TRY(checkIds());
  T::Header header = makeHeader();
  std::vector<std::byte> out(header.total_size);
  writeSections(out, header);
  seal(out, header);
  LINNET_TRY(markWholeWords(out));
  return out;
}

} // namespace

Result<std::vector<std::byte>> buildTables(const TokenizerParts &parts) { return Builder(parts).build(); }

TokenizerParts Tokenizer::parts() const {
  const T &t = *tables;
  TokenizerParts parts;
  parts.tokens.resize(t.header->n_ids);
  for (size_t id = 0; id < t.flags.size(); ++id)
    if (t.flags[id] & T::kInVocab) parts.tokens[id] = t.spellingOf(static_cast<TokenId>(id));
  parts.model = t.has(T::kUnigram) ? ModelKind::Unigram : ModelKind::Bpe;
  parts.scores.assign(t.scores.begin(), t.scores.end());
  parts.stages = std::string(t.stages_text);
  parts.byte_fallback = t.has(T::kByteFallback);
  for (const T::Merge &m : t.merges)
    parts.merges.push_back(t.spellingOf(static_cast<TokenId>(m.left)) + ' ' +
                           t.spellingOf(static_cast<TokenId>(m.right)));
  for (uint32_t id : t.added) {
    uint16_t f = t.flags[id];
    parts.added.push_back({std::string(t.bytesOf(static_cast<TokenId>(id))), static_cast<TokenId>(id),
                           bool(f & T::kSpecial), bool(f & T::kLstrip), bool(f & T::kRstrip),
                           bool(f & T::kSingleWord), bool(f & T::kNormalized)});
  }
  parts.bos = t.header->bos, parts.eos = t.header->eos, parts.pad = t.header->pad, parts.unk = t.header->unk;
  parts.missing_byte = t.missingByte();
  parts.unknown_byte = t.header->unknown_byte;
  parts.fuse_unknown = t.has(T::kFuseUnknown);
  parts.add_prefix_space = t.has(T::kAddPrefixSpace);
  parts.ignore_merges = t.has(T::kIgnoreMerges);
  parts.prefix.assign(t.prefix.begin(), t.prefix.end());
  parts.suffix.assign(t.suffix.begin(), t.suffix.end());
  parts.model_max_length = t.header->model_max_length;
  parts.padding_side = t.has(T::kPadLeft) ? Side::Left : Side::Right;
  parts.truncation_side = t.has(T::kTruncateLeft) ? Side::Left : Side::Right;
  return parts;
}

} // namespace linnet
