// Encodes text to ids: replaces ill-formed UTF-8, finds added tokens, normalizes, pre-splits, applies the model,
// then truncates and pads.
#include "support/error.h"
#include "tokenizer/added.h"
#include "tokenizer/bpe.h"
#include "tokenizer/split.h"
#include "tokenizer/unicode.h"
#include "tokenizer/unigram.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <deque>

namespace linnet {
namespace {

// Encodes words into one list of ids. Repeated words of a text come from a bounded cache, which stores
// offsets in the text and in the list instead of copies. Most other words are one token, found by one lookup.
// The rest is merged.
class TextEncoder : public WordSink {
public:
  TextEncoder(const TokenizerTables &t, size_t text_size) : tables(t), merger(t), unigram(t) {
    cache.resize(std::clamp<size_t>(std::bit_ceil(text_size / 32 + 1), 1, 1 << 13));
    ids.reserve(text_size / 3 + 8);
  }

  Result<void> addGpt2Text(std::string_view text) override {
    for (size_t at = 0; at < text.size();) {
      size_t end = wordEnd(text, at);
      LINNET_TRY(addWhole(text.substr(at, end - at)));
      at = end;
    }
    return {};
  }

  Result<void> addWord(std::string_view word) override {
    if (!tables.splits_at_mark) return addWhole(word);
    // Parts that no merge joins are encoded by themselves, because short words are faster than long ones.
    size_t begin = 0;
    for (size_t at = 1; (at = word.find(kSpaceMark, at)) < word.size(); ++at) {
      size_t before = unicode::previous(word, at);
      uint32_t c = unicode::next(word.data(), before);
      if (c == kSpaceMarkPoint || std::find(tables.joined_to_mark.begin(), tables.joined_to_mark.end(), c) !=
                                      tables.joined_to_mark.end())
        continue;
      LINNET_TRY(addWhole(word.substr(begin, at - begin)));
      begin = at;
    }
    return addWhole(word.substr(begin));
  }

  std::vector<TokenId> ids;

private:
  struct Known {
    uint64_t hash = 0;
    const char *word = nullptr;
    uint32_t length = 0, n_ids = 0;
    size_t first = 0; // index of its first id in `ids`; if it has one id, that id
  };
  static constexpr size_t kLongestCached = 512;

  Result<void> addWhole(std::string_view word) {
    uint64_t hash = TokenizerTables::hashBytes(word);
    return addKnown(word, hash) ? Result<void>() : addNew(word, hash);
  }

  bool addKnown(std::string_view word, uint64_t hash) {
    const Known &known = cache[hash & (cache.size() - 1)];
    if (known.hash != hash || known.length != word.size() ||
        std::memcmp(known.word, word.data(), word.size()) != 0)
      return false;
    if (known.n_ids == 1) return ids.push_back(static_cast<TokenId>(known.first)), true;
    for (uint32_t i = 0; i < known.n_ids; ++i) ids.push_back(ids[known.first + i]);
    return true;
  }

  Result<void> addNew(std::string_view word, uint64_t hash) {
    size_t first = ids.size();
    if (TokenId id = tables.findWord(word, hash); id >= 0)
      ids.push_back(id);
    else
      LINNET_TRY(tables.pieces ? unigram.encode(word, ids) : merger.merge(word, ids));
    if (word.size() > kLongestCached) return {};
    size_t n = ids.size() - first;
    cache[hash & (cache.size() - 1)] = {hash, word.data(), static_cast<uint32_t>(word.size()),
                                        static_cast<uint32_t>(n),
                                        n == 1 ? static_cast<size_t>(ids.back()) : first};
    return {};
  }

  const TokenizerTables &tables;
  WordEncoder merger;
  UnigramEncoder unigram;
  std::vector<Known> cache;
};

Result<size_t> lengthLimit(const Tokenizer &tokenizer, const EncodeOptions &options) {
  if (options.max_length) return *options.max_length;
  if (auto n = tokenizer.modelMaxLength()) return *n;
  return Error{
      "cannot truncate or pad: expected max_length, found neither it nor the tokenizer's model_max_length"};
}

void padTo(Encoding &encoding, size_t length, TokenId pad, Side side) {
  if (encoding.ids.size() >= length) return;
  size_t n = length - encoding.ids.size();
  auto at = side == Side::Left ? 0 : static_cast<ptrdiff_t>(encoding.ids.size());
  encoding.ids.insert(encoding.ids.begin() + at, n, pad);
  encoding.attention_mask.insert(encoding.attention_mask.begin() + at, n, 0);
}

} // namespace

Result<std::vector<TokenId>> Tokenizer::encodeText(std::string_view text,
                                                   const EncodeOptions &options) const {
  std::string well_formed;
  if (!unicode::isValid(text)) {
    unicode::appendReplacing(well_formed, text);
    text = well_formed;
  }
  TextEncoder encoder(*tables, text.size());
  std::deque<std::string> arena; // texts that were made; the encoder keeps views of them
  std::optional<PreTokenizer> words;
  if (tables->stages) words.emplace(*tables->stages, arena);
  auto addPlain = [&](std::string_view plain, bool at_start) -> Result<void> {
    if (words) return words->split(plain, at_start, encoder);
    if (!tables->has(TokenizerTables::kAddPrefixSpace) || plain.front() == ' ')
      return encoder.addGpt2Text(plain);
    arena.emplace_back(1, ' ').append(plain);
    return encoder.addGpt2Text(arena.back());
  };
  for (const Piece &piece : added->split(text, options.parse_special)) {
    if (piece.id >= 0) {
      encoder.ids.push_back(piece.id);
      continue;
    }
    std::string_view plain = piece.text;
    const bool at_start = plain.data() == text.data();
    if (tables->stages && !tables->stages->normalizer.empty()) {
      LINNET_ASSIGN(std::string normalized, tables->stages->normalized(plain));
      plain = arena.emplace_back(std::move(normalized));
    }
    for (const Piece &finer : added->splitNormalized(plain, options.parse_special)) {
      if (finer.id >= 0)
        encoder.ids.push_back(finer.id);
      else
        LINNET_TRY(addPlain(finer.text, at_start && finer.text.data() == plain.data()));
    }
  }
  return std::move(encoder.ids);
}

Result<Encoding> Tokenizer::encode(std::string_view text, const EncodeOptions &options) const {
  LINNET_ASSIGN(auto batch, encodeBatch(std::span(&text, 1), options));
  return std::move(batch.front());
}

Result<std::vector<Encoding>> Tokenizer::encodeBatch(std::span<const std::string_view> texts,
                                                     const EncodeOptions &options) const {
  std::span<const int32_t> prefix, suffix;
  if (options.add_special_tokens) prefix = tables->prefix, suffix = tables->suffix;
  size_t n_around = prefix.size() + suffix.size(), limit = 0;
  if (options.truncation || options.padding == Padding::MaxLength) {
    LINNET_ASSIGN(limit, lengthLimit(*this, options));
  }
  if (options.truncation && limit < n_around)
    return errorf("cannot truncate to {} tokens: the tokenizer puts {} around each text", limit, n_around);
  std::optional<TokenId> pad = options.pad_id ? options.pad_id : padId();
  if (options.padding != Padding::None && !pad)
    return Error{"cannot pad: the tokenizer has no padding token and none was given"};

  std::vector<Encoding> batch;
  size_t longest = 0;
  for (std::string_view text : texts) {
    LINNET_ASSIGN(auto ids, encodeText(text, options));
    if (options.truncation && ids.size() > limit - n_around) {
      auto surplus = static_cast<ptrdiff_t>(ids.size() - (limit - n_around));
      bool left = options.truncation_side.value_or(truncationSide()) == Side::Left;
      ids.erase(left ? ids.begin() : ids.end() - surplus, left ? ids.begin() + surplus : ids.end());
    }
    ids.insert(ids.begin(), prefix.begin(), prefix.end());
    ids.insert(ids.end(), suffix.begin(), suffix.end());
    longest = std::max(longest, ids.size());
    std::vector<int32_t> mask(ids.size(), 1);
    batch.push_back({std::move(ids), std::move(mask)});
  }
  if (options.padding == Padding::None) return batch;
  size_t length = options.padding == Padding::Longest ? longest : limit;
  if (length > (size_t(1) << 24)) return errorf("cannot pad to {} tokens: too many", length);
  for (Encoding &encoding : batch)
    padTo(encoding, length, *pad, options.padding_side.value_or(paddingSide()));
  return batch;
}

} // namespace linnet
