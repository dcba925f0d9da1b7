#include "tokenizer/sentencepiece.h"
#include "support/error.h"
#include "support/json.h"
#include "tokenizer/tables.h"
#include "tokenizer/unicode.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <unordered_map>

namespace linnet {
namespace {

// Reads fields of protobuf's wire format. A malformed message ends with an error; no read leaves the bytes.
class WireReader {
public:
  WireReader(std::string_view b, const std::string &w) : bytes(b), where(w) {}
  bool done() const { return bytes.empty(); }
  /// Reads the next field: `number`, and `value` (varint), `text` (length-delimited) or `fixed` (32 bits).
  Result<void> next() {
    LINNET_ASSIGN(uint64_t key, varint());
    constexpr int kTypeBits = 3;
    number = key >> kTypeBits;
    text = {}, value = 0, fixed = 0;
    switch (key & 7) { // the wire types
    case 0: {
      LINNET_ASSIGN(value, varint());
      return {};
    }
    case 1:
      return take(8);
    case 2: {
      LINNET_ASSIGN(uint64_t size, varint());
      return take(size);
    }
    case 5:
      LINNET_TRY(take(4));
      for (size_t i = 0; i < 4; ++i) fixed |= uint32_t(static_cast<unsigned char>(text[i])) << 8 * i;
      return {};
    default:
      return errorf("{}: not a SentencePiece model: a field of wire type {}", where, key & 7);
    }
  }

  uint64_t number = 0, value = 0;
  uint32_t fixed = 0;
  std::string_view text;

private:
  Result<uint64_t> varint() {
    uint64_t result = 0;
    for (size_t i = 0; i < 10 && i < bytes.size(); ++i) { // ten bytes hold 64 bits
      auto byte = static_cast<unsigned char>(bytes[i]);
      result |= uint64_t(byte & 0x7F) << 7 * i;
      if (byte & 0x80) continue;
      bytes.remove_prefix(i + 1);
      return result;
    }
    return errorf("{}: not a SentencePiece model: a number is cut short", where);
  }
  Result<void> take(uint64_t size) {
    if (size > bytes.size())
      return errorf("{}: not a SentencePiece model: a field of {} bytes, but {} are left", where, size,
                    bytes.size());
    text = bytes.substr(0, size);
    bytes.remove_prefix(size);
    return {};
  }

  std::string_view bytes;
  const std::string &where;
};

// sentencepiece_model.proto: ModelProto, SentencePiece, TrainerSpec, NormalizerSpec.
enum ModelField : uint64_t { kPieces = 1, kTrainer = 2, kNormalizer = 3 };
enum PieceField : uint64_t { kPiece = 1, kScore = 2, kType = 3 };
enum PieceType : uint64_t {
  kNormalPiece = 1,
  kUnknownPiece,
  kControlPiece,
  kUserPiece,
  kUnusedPiece,
  kBytePiece
};
enum TrainerField : uint64_t {
  kModelType = 3,
  kSpaceAsSuffix = 24,
  kByteFallbackField = 35,
  kUnkId = 40,
  kBosId = 41,
  kEosId = 42,
  kPadId = 43
};
enum NormalizerField : uint64_t {
  kName = 1,
  kCharsMap = 2,
  kDummyPrefix = 3,
  kExtraSpaces = 4,
  kEscapes = 5
};
constexpr uint64_t kUnigramType = 1, kBpeType = 2;

struct SentencePieceModel {
  uint64_t type = kUnigramType;
  bool byte_fallback = false, adds_prefix = true, removes_extra = true, escapes = true;
  int64_t unk = 0, bos = 1, eos = 2, pad = -1;
};

Result<void> readPiece(std::string_view message, const std::string &where, TokenizerParts &parts) {
  std::string text;
  double score = 0;
  uint64_t type = kNormalPiece;
  for (WireReader reader(message, where); !reader.done();) {
    LINNET_TRY(reader.next());
    if (reader.number == kPiece) text = reader.text;
    if (reader.number == kScore) score = static_cast<double>(std::bit_cast<float>(reader.fixed));
    if (reader.number == kType) type = reader.value;
  }
  const size_t id = parts.tokens.size();
  if (id > static_cast<size_t>(kMaxTokenId)) return errorf("{}: more than {} pieces", where, kMaxTokenId + 1);
  if (text.empty() || !unicode::isValid(text) || !std::isfinite(score))
    return errorf("{}: piece {}: expected UTF-8 text and a finite score", where, id);
  if (type == kUnknownPiece || type == kControlPiece || type == kUserPiece) {
    AddedToken token;
    token.content = text;
    token.id = static_cast<TokenId>(id);
    token.special = type != kUserPiece;
    parts.added.push_back(std::move(token));
  }
  // tokenizer.json keeps all pieces in the vocabulary; an unused one stays without a use.
  parts.tokens.push_back(type == kUnusedPiece ? std::string() : text);
  parts.scores.push_back(score);
  return {};
}

Result<void> readTrainer(std::string_view message, const std::string &where, SentencePieceModel &model) {
  for (WireReader reader(message, where); !reader.done();) {
    LINNET_TRY(reader.next());
    auto id = static_cast<int64_t>(reader.value);
    switch (reader.number) {
    case kModelType:
      model.type = reader.value;
      break;
    case kSpaceAsSuffix:
      if (reader.value) return errorf("{}: a model that marks spaces after words is not supported", where);
      break;
    case kByteFallbackField:
      model.byte_fallback = reader.value;
      break;
    case kUnkId:
      model.unk = id;
      break;
    case kBosId:
      model.bos = id;
      break;
    case kEosId:
      model.eos = id;
      break;
    case kPadId:
      model.pad = id;
      break;
    default:
      break;
    }
  }
  return {};
}

Result<void> readNormalizer(std::string_view message, const std::string &where, SentencePieceModel &model) {
  for (WireReader reader(message, where); !reader.done();) {
    LINNET_TRY(reader.next());
    if (reader.number == kCharsMap && !reader.text.empty())
      return errorf("{}: a normalizer with a precompiled map of characters is not supported", where);
    if (reader.number == kDummyPrefix) model.adds_prefix = reader.value;
    if (reader.number == kExtraSpaces) model.removes_extra = reader.value;
    if (reader.number == kEscapes) model.escapes = reader.value;
  }
  return {};
}

} // namespace

Result<std::vector<std::string>> mergesOfPieces(const std::vector<std::string> &tokens,
                                                const std::vector<double> &scores) {
  // SentencePiece's own limit, and several times what real vocabularies have: a file must not cost more memory.
  constexpr size_t kMaxPairsPerPiece = 16;
  std::unordered_map<std::string_view, size_t> ids;
  ids.reserve(tokens.size());
  for (size_t id = 0; id < tokens.size(); ++id)
    if (!tokens[id].empty() && tokens[id].find(' ') == std::string::npos) ids.emplace(tokens[id], id);
  struct Pair {
    double score;
    size_t left, right;
  };
  std::vector<Pair> pairs;
  for (size_t id = 0; id < tokens.size(); ++id) {
    std::string_view token = tokens[id];
    if (!ids.contains(token) || !unicode::isValid(token)) continue;
    if (token.size() > kMaxPieceBytes)
      return errorf("token {} has {} bytes, and at most {} are supported", id, token.size(), kMaxPieceBytes);
    for (size_t at = 0; at < token.size();) {
      unicode::next(token.data(), at);
      auto left = ids.find(token.substr(0, at)), right = ids.find(token.substr(at));
      if (at < token.size() && left != ids.end() && right != ids.end())
        pairs.push_back({scores[id], left->second, right->second});
    }
    if (pairs.size() > kMaxPairsPerPiece * tokens.size() + kMaxPieceBytes)
      return errorf("the tokens imply more than {} merges a token", kMaxPairsPerPiece);
  }
  std::stable_sort(pairs.begin(), pairs.end(),
                   [](const Pair &a, const Pair &b) { return a.score > b.score; });
  std::vector<std::string> merges;
  merges.reserve(pairs.size());
  for (const Pair &pair : pairs) merges.push_back(tokens[pair.left] + ' ' + tokens[pair.right]);
  return merges;
}

std::string sentencePieceStages(bool adds_prefix) {
  const std::string mark(kSpaceMark);
  Json normalizers = Json::array(), decoders = Json::array();
  if (adds_prefix) normalizers.push_back({{"type", "Prepend"}, {"prepend", mark}});
  normalizers.push_back({{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", mark}});
  decoders.push_back({{"type", "Replace"}, {"pattern", {{"String", mark}}}, {"content", " "}});
  decoders.push_back({{"type", "ByteFallback"}});
  decoders.push_back({{"type", "Fuse"}});
  if (adds_prefix) decoders.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  Json stages = {{"normalizer", {{"type", "Sequence"}, {"normalizers", normalizers}}},
                 {"decoder", {{"type", "Sequence"}, {"decoders", decoders}}}};
  return stages.dump();
}

Result<void> readSentencePiece(std::string_view bytes, const std::string &where, TokenizerParts &parts) {
  SentencePieceModel model;
  for (WireReader reader(bytes, where); !reader.done();) {
    LINNET_TRY(reader.next());
    if (reader.number == kPieces) LINNET_TRY(readPiece(reader.text, where, parts));
    if (reader.number == kTrainer) LINNET_TRY(readTrainer(reader.text, where, model));
    if (reader.number == kNormalizer) LINNET_TRY(readNormalizer(reader.text, where, model));
  }
  if (parts.tokens.empty()) return errorf("{}: not a SentencePiece model: it has no pieces", where);
  if (model.type != kUnigramType && model.type != kBpeType)
    return errorf("{}: a SentencePiece model of type {} is not supported (1: Unigram, 2: BPE)", where,
                  model.type);
  if (!model.escapes) return errorf("{}: a normalizer that does not escape spaces is not supported", where);
  if (model.removes_extra)
    return errorf("{}: a normalizer that removes extra spaces is not supported", where);
  auto role = [&](int64_t id) {
    return id >= 0 && static_cast<size_t>(id) < parts.tokens.size() ? static_cast<TokenId>(id) : TokenId(-1);
  };
  parts.bos = role(model.bos), parts.eos = role(model.eos), parts.pad = role(model.pad),
  parts.unk = role(model.unk);
  parts.missing_byte = parts.unk < 0 ? MissingByte::Refused : MissingByte::Unknown;
  parts.unknown_byte = parts.unk;
  parts.fuse_unknown = true;
  parts.byte_fallback = model.byte_fallback;
  parts.stages = sentencePieceStages(model.adds_prefix);
  if (model.type == kBpeType) {
    auto merges = mergesOfPieces(parts.tokens, parts.scores);
    if (!merges) return errorf("{}: {}", where, merges.error().message);
    parts.merges = std::move(*merges);
    parts.scores.clear();
  } else {
    parts.model = ModelKind::Unigram;
  }
  return {};
}

} // namespace linnet
