// Text <-> token ids, with the results of Hugging Face tokenizers: byte-level BPE (GPT-2, Llama 3, Qwen, NeoX),
// BPE of characters (Llama 2, Mistral, Gemma) and Unigram.
//
//   auto tokenizer = Tokenizer::fromDirectory("model");            // Result<std::optional<Tokenizer>>
//   auto ids = (*tokenizer)->encode("hello world");                // Result<Encoding>: ids {31373, 995}
//   std::string text = *(*tokenizer)->decode(ids->ids);
//
// Each maximal subpart of an ill-formed UTF-8 sequence is encoded as U+FFFD. tiktoken and gpt-3-encoder give
// the same for bytes that passed through JavaScript's TextDecoder (a byte order mark is kept). Without a
// normalizer, decode(encode(text)) == text for well-formed text and GPT-2's stages.
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
  Longest,   ///< to the length of the batch's longest text
  MaxLength, ///< to EncodeOptions::max_length
};

struct EncodeOptions {
  /// True: special tokens in the text ("<|endoftext|>") become their ids. False: they are ordinary text.
  /// Added tokens that are not special are always recognized, as in transformers.
  bool parse_special = true;
  /// Adds the ids that the tokenizer's files put around every text (a template or add_bos_token; GPT-2 has
  /// none).
  bool add_special_tokens = true;
  /// Length in tokens for `truncation` and Padding::MaxLength. Default: the tokenizer's modelMaxLength().
  std::optional<size_t> max_length;
  bool truncation = false;
  Padding padding = Padding::None;
  /// Default: the tokenizer's paddingSide() and truncationSide().
  std::optional<Side> padding_side, truncation_side;
  /// Default: the tokenizer's padId(). Padding without either is an error, as in transformers.
  std::optional<TokenId> pad_id;
};

struct Encoding {
  std::vector<TokenId> ids;
  /// 1 for a token of the text, 0 for padding; as long as `ids`.
  std::vector<int32_t> attention_mask;
};

/// A token outside the merges: a special token, or a word that was added later.
struct AddedToken {
  std::string content; ///< literal text
  TokenId id = -1;
  bool special = false;
  bool lstrip = false, rstrip = false; ///< absorb the adjacent white space
  bool single_word = false;            ///< matches only if no word character is next to it
  bool normalized = false;             ///< matched after the others, in the normalized text
};

/// The encoding of a byte without a token in the vocabulary. If the vocabulary does not spell bytes, this is
/// the encoding of a character that has neither a token nor bytes to fall back to.
enum class MissingByte : uint8_t {
  Refused, ///< an error that names the byte or character
  Dropped, ///< dropped before pairs are merged, so its neighbours may merge (tokenizers without unk_token)
  Skipped, ///< dropped after pairs were merged (llama.cpp)
  Unknown, ///< becomes TokenizerParts::unknown_byte
};

enum class ModelKind : uint8_t { Bpe, Unigram };

/// All data of a tokenizer, in the spelling of vocab.json. GGUF metadata has the same data: `tokens` is
/// tokenizer.ggml.tokens and `merges` is tokenizer.ggml.merges. Every token of type control (3, special) or
/// user-defined (4) is an AddedToken; its entry in `tokens` is empty or has the same content.
struct TokenizerParts {
  std::vector<std::string>
      tokens; ///< by id, as vocab.json spells them ("Ġworld"); empty: no such id in the model's vocabulary
  ModelKind model = ModelKind::Bpe;
  std::vector<std::string> merges; ///< of BPE: "left right", by rank
  std::vector<double> scores;      ///< of Unigram: the log probability of each id
  /// Normalizer, pre_tokenizer and decoder, as the JSON object of a tokenizer.json. Empty: those of GPT-2, and
  /// add_prefix_space. If the pre_tokenizer ends with ByteLevel, tokens are spelled in GPT-2's alphabet of bytes.
  std::string stages;
  std::vector<AddedToken> added;                  ///< with any ids; gaps are allowed
  TokenId bos = -1, eos = -1, pad = -1, unk = -1; ///< -1: none
  /// Encoding of bytes without a token. It has no effect and is not stored if tokens spell bytes and every byte has
  /// one.
  MissingByte missing_byte = MissingByte::Refused;
  TokenId unknown_byte = -1;  ///< for MissingByte::Unknown; -1 for the others. `unk` is only a role.
  bool fuse_unknown = false;  ///< for MissingByte::Unknown: one token per run of missing bytes in a word
  bool byte_fallback = false; ///< a character without a token becomes the tokens "<0xE4>" of its bytes
  bool add_prefix_space =
      false;                  ///< a space before each text that does not start with one; for empty `stages`
  bool ignore_merges = false; ///< a word that is a token needs no merges
  std::vector<TokenId> prefix, suffix; ///< added around each text by add_special_tokens
  int64_t model_max_length = 0;        ///< 0: unknown
  Side padding_side = Side::Right, truncation_side = Side::Right;
};

/// The largest allowed id.
inline constexpr TokenId kMaxTokenId = (1 << 20) - 1;

class TokenizerTables;
class AddedTokenMatcher;

/// Immutable and thread-safe. Copies share their tables. The functions that read and write tokenizer files
/// (fromDirectory, fromTokenizerJson, fromVocabAndMerges, save) are not in the runtime library: an artifact holds its
/// tokenizer in the form of serialize().
class Tokenizer {
public:
  /// Reads tokenizer.json, or vocab.json + merges.txt + added_tokens.json (also OpenAI's names encoder.json +
  /// vocab.bpe), or SentencePiece's tokenizer.model. It also reads tokenizer_config.json and special_tokens_map.json
  /// for the special tokens.
  /// Nothing if the directory has none of these. Errors: one file of a pair without the other, and an
  /// unsupported setting that would change ids (dropout, or a stage of another type).
  static Result<std::optional<Tokenizer>> fromDirectory(const std::string &directory);
  /// Reads the text of a tokenizer.json. Errors begin with `where`.
  static Result<Tokenizer> fromTokenizerJson(std::string_view json,
                                             const std::string &where = "tokenizer.json");
  /// Reads the texts of vocab.json and merges.txt. "<|endoftext|>", if present, becomes bos, eos and unk, as
  /// in transformers.
  static Result<Tokenizer> fromVocabAndMerges(std::string_view vocab_json, std::string_view merges_txt,
                                              const std::string &where = "vocab.json");
  static Result<Tokenizer> fromParts(const TokenizerParts &parts);
  /// Reads the untrusted binary form of serialize(). All bytes are checked first (a fraction of a millisecond
  /// per MB). The tables are used in place: `owner` keeps the bytes alive, or the caller does if it is empty.
  /// Bytes that are not aligned to 8 are copied.
  static Result<Tokenizer> fromBytes(std::span<const std::byte> bytes,
                                     std::shared_ptr<const void> owner = {});

  /// Binary form, for the artifact file.
  std::vector<std::byte> serialize() const;
  /// Writes special_tokens_map.json, tokenizer_config.json and tokenizer.json, which transformers reads. With
  /// GPT-2's stages, also vocab.json, merges.txt and added_tokens.json (if there are added tokens). The directory
  /// must exist. These files cannot express MissingByte::Skipped; tokenizers reads it as Dropped.
  Result<void> save(const std::string &directory) const;
  TokenizerParts parts() const;

  /// Text -> ids. Errors: a setting that cannot be met (padding without a padding token, a missing
  /// max_length), a missing byte with MissingByte::Refused, and a regular expression that needs too many steps
  /// (regex.h). O(n log n) in the text's length.
  Result<Encoding> encode(std::string_view text, const EncodeOptions &options = {}) const;
  Result<std::vector<Encoding>> encodeBatch(std::span<const std::string_view> texts,
                                            const EncodeOptions &options = {}) const;

  /// Ids -> text; ill-formed UTF-8 becomes U+FFFD. An id without a token is an error.
  Result<std::string> decode(std::span<const TokenId> ids, bool skip_special = false) const;
  /// The concatenated bytes of the tokens, without replacement. Other decoders than ByteLevel give their text.
  Result<std::string> decodeBytes(std::span<const TokenId> ids, bool skip_special = false) const;

  /// One more than the largest id: the least length of logits.
  TokenId idLimit() const;
  /// Number of tokens (less than idLimit() where ids leave gaps).
  size_t size() const;
  bool isToken(TokenId id) const;
  bool isSpecial(TokenId id) const;
  /// The bytes of a token; empty if the id has no token. Valid as long as this object or a copy lives.
  std::string_view tokenBytes(TokenId id) const;
  /// The spelling in vocab.json ("Ġworld"), or the literal text of an added token; empty if the id has no
  /// token.
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
  friend class StreamDecoder;
  Result<std::vector<TokenId>> encodeText(std::string_view text, const EncodeOptions &options) const;
  std::shared_ptr<const TokenizerTables> tables;
  std::shared_ptr<const AddedTokenMatcher> added;
};

/// What a step of a decoder keeps between tokens.
struct DecoderState {
  std::string pending;
  size_t count = 0;
};

/// Decodes ids one at a time. Each push returns complete UTF-8 characters only. The results of all pushes and
/// the flush, concatenated, equal Tokenizer::decode of all ids.
class StreamDecoder {
public:
  explicit StreamDecoder(Tokenizer tokenizer, bool skip_special = false);
  /// An id without a token adds nothing: a model's logits may be padded beyond the vocabulary.
  std::string push(TokenId id);
  /// Ends the text: an incomplete character becomes U+FFFD. Resets the decoder.
  std::string flush();

private:
  Tokenizer tokenizer;
  bool skip_special;
  std::string pending;              // at most three bytes of an incomplete character
  std::vector<DecoderState> states; // of the steps of another decoder than ByteLevel
};

} // namespace linnet
