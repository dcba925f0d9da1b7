// Text -> ids: replace ill-formed UTF-8, cut out added tokens, pre-split, merge; then truncate and pad.
#include "support/error.h"
#include "tokenizer/added.h"
#include "tokenizer/bpe.h"
#include "tokenizer/split.h"
#include "tokenizer/unicode.h"

#include <algorithm>
#include <bit>
#include <deque>

namespace linnet {
namespace {

// Encodes words into one list of ids. Most words are one token, found by one lookup. The others are merged;
// where a word has been met before in this text, its ids are copied from there: the cache holds places, not
// copies, and is bounded.
class TextEncoder {
public:
  TextEncoder(const TokenizerTables &t, size_t text_size) : tables(t), merger(t) {
    if (text_size >= 1024) cache.resize(std::clamp<size_t>(std::bit_ceil(text_size / 32), 64, 1 << 14));
    ids.reserve(text_size / 4 + 8);
  }

  Result<void> addText(std::string_view text) {
    for (size_t at = 0; at < text.size();) {
      size_t end = wordEnd(text, at);
      LINNET_TRY(addWord(text.substr(at, end - at)));
      at = end;
    }
    return {};
  }

  std::vector<TokenId> ids;

private:
  struct Known {
    const char *word = nullptr;
    uint32_t length = 0, n_ids = 0;
    size_t first = 0;
  };
  static constexpr size_t kLongestCached = 512;

  Result<void> addWord(std::string_view word) {
    uint64_t hash = TokenizerTables::hashBytes(word);
    if (TokenId id = tables.findWord(word, hash); id >= 0) return ids.push_back(id), Result<void>();
    if (cache.empty() || word.size() > kLongestCached) return merger.merge(word, ids);
    Known &known = cache[hash & (cache.size() - 1)];
    if (known.length == word.size() && std::string_view(known.word, known.length) == word) {
      for (uint32_t i = 0; i < known.n_ids; ++i) ids.push_back(ids[known.first + i]);
      return {};
    }
    size_t first = ids.size();
    LINNET_TRY(merger.merge(word, ids));
    known = {word.data(), static_cast<uint32_t>(word.size()), static_cast<uint32_t>(ids.size() - first),
             first};
    return {};
  }

  const TokenizerTables &tables;
  WordEncoder merger;
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
  std::deque<std::string> prefixed; // lives as long as the encoder, which remembers places in it
  for (const Piece &piece : added->split(text, options.parse_special)) {
    if (piece.id >= 0) {
      encoder.ids.push_back(piece.id);
    } else if (tables->has(TokenizerTables::kAddPrefixSpace) && piece.text.front() != ' ') {
      prefixed.emplace_back(1, ' ').append(piece.text);
      LINNET_TRY(encoder.addText(prefixed.back()));
    } else {
      LINNET_TRY(encoder.addText(piece.text));
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
