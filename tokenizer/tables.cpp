#include "tokenizer/tables.h"
#include "support/error.h"
#include "tokenizer/byte_level.h"
#include "tokenizer/unicode.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

namespace linnet {
namespace {

static_assert(std::endian::native == std::endian::little, "the tables are used where they lie");
static_assert(sizeof(TokenizerTables::Header) == 120 && sizeof(TokenizerTables::Merge) == 12);

// The checksum covers the bytes after its field.
constexpr size_t kChecked = offsetof(TokenizerTables::Header, checksum) + sizeof(uint64_t);

constexpr uint32_t kMaxStagesBytes = 1 << 16;

constexpr uint64_t align8(uint64_t n) { return (n + 7) & ~uint64_t(7); }

uint64_t mix(uint64_t a, uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  Wide product = static_cast<Wide>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

template <class V> uint64_t at(const char *from) {
  V value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

// Reads up to eight bytes as a little-endian number, without a loop.
inline uint64_t load(const char *from, size_t n) {
  if (n == 8) return at<uint64_t>(from);
  if (n >= 4) return at<uint32_t>(from) | at<uint32_t>(from + n - 4) << 8 * (n - 4);
  if (n == 0) return 0;
  return at<uint8_t>(from) | at<uint8_t>(from + n / 2) << 8 * (n / 2) |
         at<uint8_t>(from + n - 1) << 8 * (n - 1);
}

template <class T> std::span<const T> section(const std::byte *base, uint64_t at, size_t n) {
  return {reinterpret_cast<const T *>(base + at), n};
}

Error damaged(const char *what) { return errorf("tokenizer tables: damaged: {}", what); }

// Checks that counts are within bounds, so that sizes computed from them do not overflow 64 bits.
Result<void> checkCounts(const TokenizerTables::Header &h) {
  auto slotsFit = [](uint32_t slots, uint32_t n) {
    return std::has_single_bit(slots) && slots >= 2 && slots / 2 >= n && slots <= (1u << 28);
  };
  if (h.n_ids > static_cast<uint32_t>(kMaxTokenId) + 1 || h.n_tokens > h.n_ids || h.n_added > h.n_ids)
    return damaged("more tokens than there may be");
  if (h.n_merges > (1u << 27)) return damaged("more merges than there may be");
  if (h.n_prefix > 1024 || h.n_suffix > 1024) return damaged("a template longer than 1024 tokens");
  if (!slotsFit(h.vocab_slots, h.n_tokens) || !slotsFit(h.merge_slots, h.n_merges))
    return damaged("a hash table of the wrong size");
  if (h.text_size > 0xFFFFFFFFu) return damaged("more text than there may be");
  if (h.n_scores && h.n_scores != h.n_ids) return damaged("another number of scores than of tokens");
  if (h.stages_size > kMaxStagesBytes) return damaged("longer stages than there may be");
  return {};
}

} // namespace

TokenizerTables::Layout TokenizerTables::layoutOf(const Header &h) {
  Layout l;
  uint64_t at = sizeof(Header);
  auto place = [&](uint64_t &offset, uint64_t bytes) {
    offset = at;
    at = align8(at + bytes);
  };
  place(l.byte_ids, 256 * 4);
  place(l.offsets, (uint64_t(h.n_ids) + 1) * 4);
  place(l.flags, uint64_t(h.n_ids) * 2);
  place(l.merges, uint64_t(h.n_merges) * sizeof(Merge));
  place(l.vocab_slots, uint64_t(h.vocab_slots) * 4);
  place(l.merge_slots, uint64_t(h.merge_slots) * 4);
  place(l.added, uint64_t(h.n_added) * 4);
  place(l.prefix, uint64_t(h.n_prefix) * 4);
  place(l.suffix, uint64_t(h.n_suffix) * 4);
  place(l.scores, uint64_t(h.n_scores) * sizeof(double));
  place(l.stages, h.stages_size);
  place(l.text, h.text_size);
  l.total = at;
  return l;
}

uint64_t TokenizerTables::checksumOf(std::span<const std::byte> bytes) {
  auto text = reinterpret_cast<const char *>(bytes.data());
  uint64_t lanes[4] = {bytes.size(), 1, 2, 3};
  size_t i = kChecked;
  for (; i + 32 <= bytes.size(); i += 32)
    for (size_t lane = 0; lane < 4; ++lane)
      lanes[lane] = (std::rotl(lanes[lane], 23) ^ load(text + i + 8 * lane, 8)) * 0x9E3779B97F4A7C15u;
  for (; i < bytes.size(); i += 8)
    lanes[0] = (std::rotl(lanes[0], 23) ^ load(text + i, std::min<size_t>(8, bytes.size() - i))) *
               0x9E3779B97F4A7C15u;
  return mix(lanes[0] ^ 0xA0761D6478BD642Fu, lanes[1] + 0xE7037ED1A0B428DBu) ^
         mix(lanes[2] ^ 0x8EBC6AF09C88C6E3u, lanes[3] + 0x589965CC75374CC3u);
}

uint64_t TokenizerTables::hashBytes(std::string_view bytes) {
  const char *p = bytes.data();
  size_t n = bytes.size();
  uint64_t h = n * 0xA0761D6478BD642Fu + 0xE7037ED1A0B428DBu;
  for (; n > 8; p += 8, n -= 8) h = mix(h ^ load(p, 8), 0x8EBC6AF09C88C6E3u);
  return mix(h ^ load(p, n), 0x9E3779B97F4A7C15u);
}

std::string TokenizerTables::spellingOf(TokenId id) const {
  std::string_view bytes = bytesOf(id);
  return flags[static_cast<size_t>(id)] & kLiteral ? std::string(bytes) : byte_level::spell(bytes);
}

std::optional<TokenId> TokenizerTables::find(std::string_view bytes, bool literal) const {
  size_t mask = vocab_slots.size() - 1;
  for (size_t i = hashBytes(bytes) >> vocab_shift;; i = (i + 1) & mask) {
    uint32_t id = vocab_slots[i];
    if (id == kNone) return std::nullopt;
    if (bool(flags[id] & kLiteral) == literal && bytesOf(static_cast<TokenId>(id)) == bytes)
      return static_cast<TokenId>(id);
  }
}

TokenId TokenizerTables::findWord(std::string_view word, uint64_t hash) const {
  if (word.size() > header->longest_word) return -1;
  size_t mask = vocab_slots.size() - 1;
  for (size_t i = hash >> vocab_shift;; i = (i + 1) & mask) {
    uint32_t id = vocab_slots[i];
    if (id == kNone) return -1;
    if ((flags[id] & kWhole) && bytesOf(static_cast<TokenId>(id)) == word) return static_cast<TokenId>(id);
  }
}

Result<std::shared_ptr<const TokenizerTables>> TokenizerTables::open(std::span<const std::byte> bytes,
                                                                     std::shared_ptr<const void> owner) {
  if (bytes.size() < sizeof(Header))
    return errorf("tokenizer tables: expected at least {} bytes, found {}", sizeof(Header), bytes.size());
  auto tables = std::make_shared<TokenizerTables>();
  const auto &h = *reinterpret_cast<const Header *>(bytes.data());
  if (std::memcmp(h.magic, kMagic, 8) != 0)
    return Error{"tokenizer tables: not a tokenizer in Linnet's binary form"};
  if (h.version != kVersion)
    return errorf("tokenizer tables: expected version {}, found version {}: compile the model again",
                  kVersion, h.version);
  if (h.total_size != bytes.size())
    return errorf("tokenizer tables: expected {} bytes, found {}: truncated or damaged", h.total_size,
                  bytes.size());
  if (h.header_size != sizeof(Header)) return damaged("the header has another size");
  LINNET_TRY(checkCounts(h));
  Layout l = layoutOf(h);
  if (l.total != bytes.size()) return damaged("its sections do not add up to its size");
  if (checksumOf(bytes) != h.checksum) return damaged("the checksum is wrong");

  const std::byte *base = bytes.data();
  tables->bytes = bytes;
  tables->owner = std::move(owner);
  tables->header = &h;
  tables->byte_ids = section<int32_t>(base, l.byte_ids, 256);
  tables->offsets = section<uint32_t>(base, l.offsets, size_t(h.n_ids) + 1);
  tables->flags = section<uint16_t>(base, l.flags, h.n_ids);
  tables->merges = section<Merge>(base, l.merges, h.n_merges);
  tables->vocab_slots = section<uint32_t>(base, l.vocab_slots, h.vocab_slots);
  tables->merge_slots = section<uint32_t>(base, l.merge_slots, h.merge_slots);
  tables->added = section<uint32_t>(base, l.added, h.n_added);
  tables->prefix = section<int32_t>(base, l.prefix, h.n_prefix);
  tables->suffix = section<int32_t>(base, l.suffix, h.n_suffix);
  tables->scores = section<double>(base, l.scores, h.n_scores);
  tables->text = {reinterpret_cast<const char *>(base + l.text), h.text_size};
  tables->vocab_shift = 64 - std::countr_zero(h.vocab_slots);
  tables->merge_shift = 64 - std::countr_zero(h.merge_slots);
  LINNET_TRY(tables->check());
  LINNET_TRY(tables->derive({reinterpret_cast<const char *>(base + l.stages), h.stages_size}));
  return std::shared_ptr<const TokenizerTables>(std::move(tables));
}

Result<void> TokenizerTables::check() const {
  LINNET_TRY(checkTokens());
  LINNET_TRY(checkSlots());
  LINNET_TRY(checkScores());
  auto tokenOrNone = [&](int32_t id) { return id == -1 || present(id); };
  if (!tokenOrNone(header->bos) || !tokenOrNone(header->eos) || !tokenOrNone(header->pad) ||
      !tokenOrNone(header->unk))
    return damaged("a special token that is none of the tokens");
  for (int32_t id : byte_ids)
    if (!tokenOrNone(id)) return damaged("a byte whose token is none of the tokens");
  LINNET_TRY(checkMissingByte());
  for (auto ids : {prefix, suffix})
    for (int32_t id : ids)
      if (!present(id)) return damaged("a template with an id that is not a token");
  if (header->settings & ~uint32_t(kAllSettings)) return damaged("an unknown setting");
  if (header->model_max_length < 0) return damaged("a negative length");
  return {};
}

Result<void> TokenizerTables::checkMissingByte() const {
  if (header->missing_byte > static_cast<uint32_t>(MissingByte::Unknown))
    return damaged("an unknown rule for bytes without a token");
  bool unknown = missingByte() == MissingByte::Unknown;
  if (unknown ? !present(header->unknown_byte) : header->unknown_byte != -1 || has(kFuseUnknown))
    return damaged("a token for missing bytes that contradicts their rule");
  return {};
}

Result<void> TokenizerTables::checkTokens() const {
  if (offsets.front() != 0 || offsets.back() != text.size()) return damaged("tokens do not tile the text");
  size_t n_present = 0;
  for (size_t i = 0; i < flags.size(); ++i) {
    if (offsets[i + 1] < offsets[i]) return damaged("a token ends before it starts");
    bool here = flags[i] & kPresent;
    if (flags[i] & ~uint32_t(kAllFlags) || (!here && flags[i]) || here != (offsets[i + 1] > offsets[i]))
      return damaged("a token's flags contradict its bytes");
    n_present += here;
  }
  if (n_present != header->n_tokens) return damaged("another number of tokens than it says");
  for (size_t i = 0; i < added.size(); ++i) {
    if (added[i] >= header->n_ids || !(flags[added[i]] & kAdded) || (i && added[i] <= added[i - 1]))
      return damaged("an added token that is none");
    std::string_view content = bytesOf(static_cast<TokenId>(added[i]));
    if (content.size() > kMaxAddedBytes || !unicode::isValid(content))
      return damaged("an added token too long or not UTF-8");
  }
  for (const Merge &m : merges)
    if (!present(static_cast<TokenId>(m.left)) || !present(static_cast<TokenId>(m.right)) ||
        !present(static_cast<TokenId>(m.result)))
      return damaged("a merge of an id that is not a token");
  return {};
}

int fallbackByte(std::string_view spelling) {
  if (spelling.size() != 6 || !spelling.starts_with("<0x") || spelling.back() != '>') return -1;
  int value = 0;
  for (char c : spelling.substr(3, 2)) {
    bool digit = c >= '0' && c <= '9';
    if (!digit && (c < 'A' || c > 'F')) return -1;
    value = value * 16 + (digit ? c - '0' : c - 'A' + 10);
  }
  return value;
}

Result<void> TokenizerTables::checkScores() const {
  if (has(kUnigram) != (header->n_scores > 0 && header->n_scores == header->n_ids))
    return damaged("scores that contradict the model");
  for (double score : scores)
    if (!std::isfinite(score)) return damaged("a score that is not finite");
  return {};
}

// Computes what the tables imply, after check().
Result<void> TokenizerTables::derive(std::string_view its_stages) {
  if (!its_stages.empty()) {
    auto read = Stages::parse(its_stages);
    if (!read) return errorf("tokenizer tables: {}", read.error().message);
    stages = *read;
    byte_level = stages->byteLevel();
    const auto &steps = stages->decoder;
    bool to_bytes = steps.empty() || (steps.size() == 1 && steps[0].kind == DecoderStep::Kind::ByteLevel);
    decodes_bytes = byte_level && to_bytes;
    stages_text = its_stages;
  }
  if (byte_level && missingByte() != MissingByte::Refused &&
      std::find(byte_ids.begin(), byte_ids.end(), -1) == byte_ids.end())
    return damaged("a rule for missing bytes where none is missing");
  if (byte_level && (has(kUnigram) || has(kByteFallback)))
    return damaged("a model that contradicts its stages");
  if (!stages) return {};
  for (size_t id = 0; id < flags.size(); ++id) {
    if (!(flags[id] & kPresent)) continue;
    bool literal = flags[id] & kLiteral;
    if ((!byte_level && !literal) || (literal && !unicode::isValid(bytesOf(static_cast<TokenId>(id)))))
      return damaged("a token's spelling contradicts the stages");
  }
  if (byte_level) return {};
  for (uint32_t c = 0; c < ascii_ids.size(); ++c) {
    char character = static_cast<char>(c);
    ascii_ids[c] = find({&character, 1}, true).value_or(-1);
  }
  if (!has(kUnigram)) return findMarks(), Result<void>();
  auto trie = std::make_shared<PieceTrie>();
  least_score = 0;
  bool is_first = true;
  for (size_t id = 0; id < flags.size(); ++id) {
    if (!(flags[id] & kInVocab)) continue;
    if (bytesOf(static_cast<TokenId>(id)).size() > kMaxPieceBytes) return damaged("a piece that is too long");
    trie->insert(bytesOf(static_cast<TokenId>(id)), static_cast<TokenId>(id));
    least_score = is_first ? scores[id] : std::min(least_score, scores[id]);
    is_first = false;
  }
  pieces = std::move(trie);
  return {};
}

void TokenizerTables::findMarks() {
  constexpr size_t kMany = 64;
  splits_at_mark = !has(kIgnoreMerges) && find(kSpaceMark, true).has_value();
  for (const Merge &m : merges) {
    if (!splits_at_mark) return;
    std::string_view token = bytesOf(static_cast<TokenId>(m.result));
    for (size_t at = token.find(kSpaceMark, 1); at != std::string_view::npos;
         at = token.find(kSpaceMark, at + 1)) {
      size_t before = unicode::previous(token, at);
      uint32_t c = unicode::next(token.data(), before);
      if (c == kSpaceMarkPoint ||
          std::find(joined_to_mark.begin(), joined_to_mark.end(), c) != joined_to_mark.end())
        continue;
      joined_to_mark.push_back(c);
      splits_at_mark = joined_to_mark.size() <= kMany;
    }
  }
}

// Checks that slots are in range, and that at least half of them are empty, so every search ends.
Result<void> TokenizerTables::checkSlots() const {
  size_t used = 0;
  for (uint32_t id : vocab_slots) {
    if (id == kNone) continue;
    if (!present(static_cast<TokenId>(id))) return damaged("a hash table with an id that is not a token");
    ++used;
  }
  if (used > vocab_slots.size() / 2) return damaged("a hash table without room");
  used = 0;
  for (uint32_t rank : merge_slots) {
    if (rank == kNone) continue;
    if (rank >= header->n_merges) return damaged("a hash table with a merge that is none");
    ++used;
  }
  if (used > merge_slots.size() / 2) return damaged("a hash table without room");
  return {};
}

} // namespace linnet
