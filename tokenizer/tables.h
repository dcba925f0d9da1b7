// The tokenizer's tables in binary form, used in place. All numbers are little-endian. The sections follow
// the header in this order, each padded to 8 bytes; their offsets follow from the counts:
//
//   Header | byte_ids i32[256] | offsets u32[n_ids+1] | flags u16[n_ids] | merges Merge[n_merges] |
//   vocab_slots u32[] | merge_slots u32[] | added u32[n_added] | prefix i32[n_prefix] | suffix i32[n_suffix]
//   | scores f64[n_scores] | stages u8[stages_size] | text u8[text_size]
//
// Token `id` has the bytes text[offsets[id], offsets[id+1]). If the vocabulary does not spell bytes, byte_ids
// are the tokens that characters fall back to. `stages` is TokenizerParts::stages, parsed when the tables are
// opened. The two hash tables use open addressing with linear probing. Their number of slots is a power of
// two, at most half of them are used, and an empty slot is kNone.
#pragma once
#include "tokenizer/piece_trie.h"
#include "tokenizer/stages.h"
#include "tokenizer/tokenizer.h"

namespace linnet {

/// The longest content of an added token. It limits the work at each position of a text.
inline constexpr size_t kMaxAddedBytes = 512;
inline constexpr size_t kMaxPieceBytes =
    512; ///< of a Unigram model, whose search looks so far ahead; SentencePiece's limit

/// U+2581, SentencePiece's spelling of a space.
inline constexpr std::string_view kSpaceMark = "\xE2\x96\x81";
inline constexpr uint32_t kSpaceMarkPoint = 0x2581;

class TokenizerTables {
public:
  static constexpr uint32_t kNone = 0xFFFFFFFF;
  static constexpr uint32_t kVersion = 3;
  static constexpr char kMagic[9] = "LNTTOKEN";

  enum Flag : uint16_t {
    kPresent = 1,
    kSpecial = 2,
    kAdded = 4,
    kLiteral = 8, // spelled as its bytes instead of the byte-level alphabet
    kInVocab = 16,
    kLstrip = 32,
    kRstrip = 64,
    kSingleWord = 128,
    kNormalized = 256,
    kWhole = 512, // a word of these bytes encodes to this one token
    kAllFlags = 1023,
  };
  enum Setting : uint32_t {
    kAddPrefixSpace = 1,
    kIgnoreMerges = 2,
    kPadLeft = 4,
    kTruncateLeft = 8,
    kFuseUnknown = 16,
    kByteFallback = 32,
    kUnigram = 64,
    kAllSettings = 127
  };

  struct Header {
    char magic[8];
    uint32_t version, header_size;
    uint64_t total_size;
    uint64_t checksum; // of all bytes after this field
    uint32_t n_ids, n_tokens, n_merges, vocab_slots, merge_slots, n_added, n_prefix, n_suffix;
    int32_t bos, eos, pad, unk;
    int32_t unknown_byte;  // the token for bytes without a token, or -1
    uint32_t missing_byte; // a MissingByte
    uint32_t settings, longest_word;
    int64_t model_max_length;
    uint64_t text_size;
    uint32_t n_scores, stages_size;
  };
  struct Merge {
    uint32_t left, right, result;
  };

  /// Offsets of the sections, from the counts of a checked header.
  struct Layout {
    uint64_t byte_ids, offsets, flags, merges, vocab_slots, merge_slots, added, prefix, suffix, scores,
        stages, text, total;
  };
  static Layout layoutOf(const Header &header);
  static uint64_t checksumOf(std::span<const std::byte> bytes);
  static uint64_t hashBytes(std::string_view bytes);
  static uint64_t hashPair(uint32_t left, uint32_t right) {
    return (static_cast<uint64_t>(left) << 32 | right) * 0x9E3779B97F4A7C15u;
  }

  /// Checks every byte. `bytes` must be aligned to 8, and must outlive the tables unless `owner` keeps them
  /// alive.
  static Result<std::shared_ptr<const TokenizerTables>> open(std::span<const std::byte> bytes,
                                                             std::shared_ptr<const void> owner);

  bool present(TokenId id) const {
    return static_cast<uint32_t>(id) < header->n_ids && (flags[static_cast<size_t>(id)] & kPresent);
  }
  std::string_view bytesOf(TokenId id) const {
    auto i = static_cast<size_t>(id);
    return text.substr(offsets[i], offsets[i + 1] - offsets[i]);
  }
  std::string spellingOf(TokenId id) const;
  /// The token of these bytes; `literal` selects the way of spelling.
  std::optional<TokenId> find(std::string_view bytes, bool literal) const;
  /// The token of a whole word, or -1 if the word must be merged. `hash` is hashBytes(word).
  TokenId findWord(std::string_view word, uint64_t hash) const;
  /// The rank of a merge, or kNone.
  uint32_t rankOf(uint32_t left, uint32_t right) const {
    size_t mask = merge_slots.size() - 1;
    for (size_t i = hashPair(left, right) >> merge_shift;; i = (i + 1) & mask) {
      uint32_t rank = merge_slots[i];
      if (rank == kNone) return kNone;
      if (merges[rank].left == left && merges[rank].right == right) return rank;
    }
  }
  bool has(Setting setting) const { return header->settings & setting; }
  MissingByte missingByte() const { return static_cast<MissingByte>(header->missing_byte); }

  std::span<const std::byte> bytes;
  const Header *header = nullptr;
  std::span<const int32_t> byte_ids;
  std::span<const uint32_t> offsets;
  std::span<const uint16_t> flags;
  std::span<const Merge> merges;
  std::span<const uint32_t> vocab_slots, merge_slots, added;
  std::span<const int32_t> prefix, suffix;
  std::span<const double> scores;
  std::string_view text;
  std::string_view stages_text;
  /// Null: GPT-2's.
  std::shared_ptr<const Stages> stages;
  bool byte_level = true;    // the vocabulary spells bytes
  bool decodes_bytes = true; // a text is the bytes of its tokens
  /// For other vocabularies: the tokens of ASCII characters, or -1.
  std::array<int32_t, 128> ascii_ids{};
  /// Whether no merge crosses the place before kSpaceMark, unless `joined_to_mark` has the character before it.
  bool splits_at_mark = false;
  std::vector<uint32_t> joined_to_mark;
  std::shared_ptr<const PieceTrie> pieces; // of Unigram
  double least_score = 0;                  // of Unigram
  int vocab_shift = 63, merge_shift = 63;

private:
  std::shared_ptr<const void> owner;
  Result<void> check() const;
  Result<void> checkMissingByte() const;
  Result<void> checkTokens() const;
  Result<void> checkSlots() const;
  Result<void> checkScores() const;
  Result<void> derive(std::string_view its_stages);
  void findMarks();
};

/// "<0x0A>": the byte of a token that characters fall back to, or -1.
int fallbackByte(std::string_view spelling);

/// The number of bytes before an incomplete character at the end.
size_t completeLength(std::string_view bytes);

/// The binary form of `parts`. Inconsistent parts are errors.
Result<std::vector<std::byte>> buildTables(const TokenizerParts &parts);

} // namespace linnet
