// GPT-2's byte-level byte-pair encoding: text <-> token ids, exactly as GPT-2, tiktoken and Hugging Face do
// it.
//
//   auto tokenizer = Tokenizer::fromDirectory("model");            // Result<std::optional<Tokenizer>>
//   auto ids = (*tokenizer)->encode("hello world");                // Result<Encoding>: ids {31373, 995}
//   std::string text = *(*tokenizer)->decode(ids->ids);
//
// Ill-formed UTF-8 is encoded as if each maximal subpart of an ill-formed sequence were U+FFFD: what tiktoken
// and gpt-3-encoder see when bytes pass through JavaScript's TextDecoder (a byte order mark is kept). For
// well-formed text, decode(encode(text)) == text.
#pragma once
#include "support/result.h"
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace linnet {

using TokenId = int32_t;

enum class Side : uint8_t { Right, Left };
enum class Padding : uint8_t {
  None,
  Longest,   ///< to the longest text of the batch
  MaxLength, ///< to EncodeOptions::max_length
};

struct EncodeOptions {
  /// Special tokens written out in the text ("<|endoftext|>") become their ids; false: they are text like any
  /// other. Added tokens that are not special are always recognized, as in transformers.
  bool parse_special = true;
  /// Ids that the tokenizer puts around every text (a template or add_bos_token in its files; GPT-2 has
  /// none).
  bool add_special_tokens = true;
  /// In tokens; used by `truncation` and Padding::MaxLength. Default: the tokenizer's modelMaxLength().
  std::optional<size_t> max_length;
  bool truncation = false;
  Padding padding = Padding::None;
  /// Default: the tokenizer's own paddingSide() and truncationSide().
  std::optional<Side> padding_side, truncation_side;
  /// Default: the tokenizer's padId(). Padding without either is an error, as in transformers.
  std::optional<TokenId> pad_id;
};

struct Encoding {
  std::vector<TokenId> ids;
  /// 1 for a token of the text, 0 for padding; as long as `ids`.
  std::vector<int32_t> attention_mask;
};

/// A token outside the model's merges: special tokens, and words added later.
struct AddedToken {
  std::string content; ///< literal text
  TokenId id = -1;
  bool special = false;
  bool lstrip = false, rstrip = false; ///< swallow the white space beside it
  bool single_word = false;            ///< only where no word character is beside it
  bool normalized = false;             ///< matched after the others (GPT-2 normalizes nothing)
};

/// What encoding does with a byte that no token of the vocabulary stands for.
enum class MissingByte : uint8_t {
  Refused, ///< an error that names the byte
  Dropped, ///< left out before pairs are merged: its neighbours may merge (tokenizers without unk_token)
  Skipped, ///< left out after pairs were merged (llama.cpp)
  Unknown, ///< becomes TokenizerParts::unknown_byte
};

/// Everything a tokenizer is made of, in the spelling of vocab.json: what GGUF metadata holds, too (`tokens`
/// from tokenizer.ggml.tokens, `merges` from tokenizer.ggml.merges, and an AddedToken for every token whose
/// type is control (3, special) or user-defined (4), with an empty string left at its place in `tokens` or
/// the same content).
struct TokenizerParts {
  std::vector<std::string>
      tokens; ///< by id, byte-level spelling ("Ġworld"); empty: no such id in the model's vocabulary
  std::vector<std::string> merges;                ///< "left right", by rank
  std::vector<AddedToken> added;                  ///< ids may lie anywhere; gaps are allowed
  TokenId bos = -1, eos = -1, pad = -1, unk = -1; ///< -1: none
  /// What becomes of bytes that have no token. Without effect, and not kept, where every byte has one.
  MissingByte missing_byte = MissingByte::Refused;
  TokenId unknown_byte = -1;     ///< for MissingByte::Unknown; -1 for the others. `unk` is only a role.
  bool fuse_unknown = false;     ///< MissingByte::Unknown: one token for a run of missing bytes in a word
  bool add_prefix_space = false; ///< a space before each text that does not start with one
  bool ignore_merges = false;    ///< a word that is a token needs no merges
  std::vector<TokenId> prefix, suffix; ///< put around each text by add_special_tokens
  int64_t model_max_length = 0;        ///< 0: unknown
  Side padding_side = Side::Right, truncation_side = Side::Right;
};

/// Ids above this are refused.
inline constexpr TokenId kMaxTokenId = (1 << 20) - 1;

class TokenizerTables;
class AddedTokenMatcher;

/// Immutable; copies share their tables; all const members may be called from several threads at once.
class Tokenizer {
public:
  /// Reads tokenizer.json, or vocab.json + merges.txt + added_tokens.json (encoder.json + vocab.bpe, OpenAI's
  /// names, too); then tokenizer_config.json and special_tokens_map.json for the special tokens. A directory
  /// without any of these gives nothing and no error; one of a pair without the other is an error, as is any
  /// setting that would change ids and is not supported (a normalizer, byte fallback, dropout, another
  /// pre-tokenizer): named, never ignored.
  static Result<std::optional<Tokenizer>> fromDirectory(const std::string &directory);
  /// tokenizer.json alone, as text. `where` starts error messages.
  static Result<Tokenizer> fromTokenizerJson(std::string_view json,
                                             const std::string &where = "tokenizer.json");
  /// vocab.json and merges.txt, as text. "<|endoftext|>", if there, becomes bos, eos and unk, as in
  /// transformers.
  static Result<Tokenizer> fromVocabAndMerges(std::string_view vocab_json, std::string_view merges_txt,
                                              const std::string &where = "vocab.json");
  static Result<Tokenizer> fromParts(const TokenizerParts &parts);
  /// The binary form of serialize(), untrusted: all of it is checked first (a fraction of a millisecond per
  /// MB). The tables are used where they lie: `owner` keeps the bytes alive, or, when empty, the caller does.
  /// Bytes that are not aligned to 8 are copied.
  static Result<Tokenizer> fromBytes(std::span<const std::byte> bytes,
                                     std::shared_ptr<const void> owner = {});

  /// Binary form, for the artifact file.
  std::vector<std::byte> serialize() const;
  /// Writes vocab.json, merges.txt, added_tokens.json (if there are any), special_tokens_map.json,
  /// tokenizer_config.json and tokenizer.json, which transformers reads. The directory must exist. These
  /// files have no words for MissingByte::Skipped: tokenizers reads it as Dropped.
  Result<void> save(const std::string &directory) const;
  TokenizerParts parts() const;

  /// Text -> ids. Fails where a setting cannot be met (padding without a padding token, max_length missing)
  /// and on a byte that is missing where MissingByte::Refused says so. O(n log n) in the text's length.
  Result<Encoding> encode(std::string_view text, const EncodeOptions &options = {}) const;
  Result<std::vector<Encoding>> encodeBatch(std::span<const std::string_view> texts,
                                            const EncodeOptions &options = {}) const;

  /// Ids -> text; ill-formed UTF-8 between tokens becomes U+FFFD. An id that is no token is an error.
  Result<std::string> decode(std::span<const TokenId> ids, bool skip_special = false) const;
  /// The same without replacing anything: the tokens' bytes, joined.
  Result<std::string> decodeBytes(std::span<const TokenId> ids, bool skip_special = false) const;

  /// One more than the largest id; as long as the logits should at least be.
  TokenId idLimit() const;
  /// Number of tokens (less than idLimit() where ids leave gaps).
  size_t size() const;
  bool isToken(TokenId id) const;
  bool isSpecial(TokenId id) const;
  /// The bytes a token stands for; empty if the id is no token. Valid as long as this object or a copy lives.
  std::string_view tokenBytes(TokenId id) const;
  /// Spelling as in vocab.json ("Ġworld"), the literal text for added tokens; empty if the id is no token.
  std::string tokenSpelling(TokenId id) const;
  /// The reverse of tokenSpelling.
  std::optional<TokenId> tokenId(std::string_view spelling) const;
  /// Every token by its spelling, in order of id (transformers' get_vocab).
  std::vector<std::pair<std::string, TokenId>> vocab() const;
  std::optional<TokenId> bosId() const, eosId() const, padId() const, unkId() const;
  std::optional<size_t> modelMaxLength() const;
  Side paddingSide() const, truncationSide() const;
  /// Whether every byte has a token, so that any text can be encoded and decoded.
  bool hasAllBytes() const;

private:
  Tokenizer(std::shared_ptr<const TokenizerTables> t, std::shared_ptr<const AddedTokenMatcher> a);
  Result<std::vector<TokenId>> encodeText(std::string_view text, const EncodeOptions &options) const;
  std::shared_ptr<const TokenizerTables> tables;
  std::shared_ptr<const AddedTokenMatcher> added;
};

/// Text out of ids that come one at a time: each push returns what is complete, never half a UTF-8 character.
/// All pushes and the flush joined equal Tokenizer::decode of all ids.
class StreamDecoder {
public:
  explicit StreamDecoder(Tokenizer tokenizer, bool skip_special = false);
  /// An id that is no token (a model's logits may be padded beyond the vocabulary) adds nothing.
  std::string push(TokenId id);
  /// The end: an incomplete character becomes U+FFFD. The decoder is then as new.
  std::string flush();

private:
  Tokenizer tokenizer;
  bool skip_special;
  std::string pending; // at most three bytes of a character that has begun
};

} // namespace linnet
