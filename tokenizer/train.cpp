#include "tokenizer/train.h"
#include "support/error.h"
#include "tokenizer/added.h"
#include "tokenizer/byte_level.h"
#include "tokenizer/split.h"
#include "tokenizer/unicode.h"

#include <algorithm>
#include <deque>
#include <queue>
#include <unordered_map>

namespace linnet {
namespace {

using Pair = uint64_t; // left id << 32 | right id
Pair pairOf(uint32_t left, uint32_t right) { return Pair(left) << 32 | right; }

class Trainer {
public:
  explicit Trainer(const TrainOptions &o) : options(o) {}
  Result<Tokenizer> train(std::span<const std::string_view> texts);

private:
  struct Word {
    size_t begin; // in `symbols`
    size_t length;
    int64_t count;
  };
  struct Occurrences {
    int64_t count = 0;
    std::vector<uint32_t> words; // may include words that no longer have the pair
  };
  struct Candidate {
    int64_t count;
    Pair pair;
    // Most frequent first, then smallest pair.
    bool operator<(const Candidate &o) const { return count != o.count ? count < o.count : pair > o.pair; }
  };

  Result<void> startVocabulary();
  Result<void> countWords(std::span<const std::string_view> texts);
  void countPairs();
  Result<void> learn();
  uint32_t tokenFor(Pair pair);
  void mergeEverywhere(Pair pair, uint32_t merged);
  void mergeIn(uint32_t word, Pair pair, uint32_t merged);
  void change(Pair pair, int64_t by, uint32_t word);

  const TrainOptions &options;
  TokenizerParts parts;
  uint32_t first_byte = 0;
  std::vector<std::string> bytes; // by token
  std::unordered_map<std::string, uint32_t> ids;
  std::vector<uint32_t> symbols;
  std::vector<Word> words;
  std::unordered_map<Pair, Occurrences> pairs;
  std::unordered_map<Pair, uint32_t> learned;
  std::vector<Pair> risen; // pairs that became more frequent and must be queued
  std::priority_queue<Candidate> queue;
};

Result<void> Trainer::startVocabulary() {
  for (const std::string &content : options.special_tokens) {
    if (auto other = byte_level::unspell(content); other && *other != content)
      return errorf("tokenizer training: special token \"{}\" is the spelling of other bytes", content);
    AddedToken token;
    token.content = content;
    token.id = static_cast<TokenId>(parts.added.size());
    token.special = true;
    if (content == "<|endoftext|>") parts.bos = parts.eos = parts.unk = token.id;
    parts.tokens.push_back(content);
    parts.added.push_back(token);
  }
  first_byte = static_cast<uint32_t>(parts.tokens.size());
  bytes.resize(first_byte);
  if (options.vocab_size < first_byte + 256 || options.vocab_size > static_cast<size_t>(kMaxTokenId) + 1)
    return errorf("tokenizer training: expected a vocabulary of {} (256 bytes and {} special tokens) to {} "
                  "tokens, found {}",
                  first_byte + 256, first_byte, kMaxTokenId + 1, options.vocab_size);
  // Bytes in the order of their spelling's code points, like in GPT-2. UTF-8 sorts in the same order.
  std::vector<std::string> spellings;
  for (int b = 0; b < 256; ++b) spellings.push_back(byte_level::spell(std::string(1, static_cast<char>(b))));
  std::sort(spellings.begin(), spellings.end());
  for (const std::string &spelling : spellings) {
    bytes.push_back(*byte_level::unspell(spelling));
    ids.emplace(bytes.back(), static_cast<uint32_t>(bytes.size() - 1));
    parts.tokens.push_back(spelling);
  }
  return {};
}

Result<void> Trainer::countWords(std::span<const std::string_view> texts) {
  LINNET_ASSIGN(auto table_bytes, buildTables(parts));
  LINNET_ASSIGN(auto tables, TokenizerTables::open(table_bytes, nullptr));
  AddedTokenMatcher matcher(tables);
  std::deque<std::string> replaced; // well-formed copies
  std::unordered_map<std::string_view, int64_t> counts;
  for (std::string_view text : texts) {
    if (!unicode::isValid(text)) {
      unicode::appendReplacing(replaced.emplace_back(), text);
      text = replaced.back();
    }
    for (const Piece &piece : matcher.split(text, true)) {
      if (piece.id >= 0) continue;
      for (size_t at = 0, end; at < piece.text.size(); at = end) {
        end = wordEnd(piece.text, at);
        ++counts[piece.text.substr(at, end - at)];
      }
    }
  }
  uint32_t byte_ids[256];
  for (const auto &[byte, id] : ids) byte_ids[static_cast<unsigned char>(byte[0])] = id;
  for (const auto &[word, count] : counts) {
    words.push_back({symbols.size(), word.size(), count});
    for (char c : word) symbols.push_back(byte_ids[static_cast<unsigned char>(c)]);
  }
  if (words.size() > 0xFFFFFFFFu)
    return errorf("tokenizer training: {} different words are too many", words.size());
  return {};
}

void Trainer::countPairs() {
  for (uint32_t w = 0; w < words.size(); ++w)
    for (size_t i = words[w].begin; i + 1 < words[w].begin + words[w].length; ++i)
      change(pairOf(symbols[i], symbols[i + 1]), words[w].count, w);
  risen.clear();
  for (const auto &[pair, occurrences] : pairs) queue.push({occurrences.count, pair});
}

void Trainer::change(Pair pair, int64_t by, uint32_t word) {
  Occurrences &o = pairs[pair];
  o.count += by;
  if (by <= 0) return;
  if (o.words.empty() || o.words.back() != word) o.words.push_back(word);
  risen.push_back(pair);
}

// The token with the pair's bytes, which is created if it does not exist.
uint32_t Trainer::tokenFor(Pair pair) {
  std::string joined = bytes[pair >> 32] + bytes[static_cast<uint32_t>(pair)];
  auto [entry, is_new] = ids.try_emplace(joined, static_cast<uint32_t>(bytes.size()));
  if (is_new) {
    parts.tokens.push_back(byte_level::spell(joined));
    bytes.push_back(std::move(joined));
  }
  return entry->second;
}

void Trainer::mergeEverywhere(Pair pair, uint32_t merged) {
  risen.clear();
  std::vector<uint32_t> where = std::move(pairs[pair].words);
  for (uint32_t word : where) mergeIn(word, pair, merged);
  pairs.erase(pair);
  std::sort(risen.begin(), risen.end());
  risen.erase(std::unique(risen.begin(), risen.end()), risen.end());
  for (Pair p : risen)
    if (auto it = pairs.find(p); it != pairs.end() && it->second.count > 0) queue.push({it->second.count, p});
}

// Merges the pair in one word, and updates the counts of pairs.
void Trainer::mergeIn(uint32_t w, Pair pair, uint32_t merged) {
  Word &word = words[w];
  uint32_t *s = symbols.data() + word.begin;
  auto left = static_cast<uint32_t>(pair >> 32), right = static_cast<uint32_t>(pair);
  size_t out = 0;
  for (size_t in = 0; in < word.length; ++out) {
    if (s[in] != left || in + 1 >= word.length || s[in + 1] != right) {
      s[out] = s[in++];
      continue;
    }
    if (out > 0) {
      change(pairOf(s[out - 1], left), -word.count, w);
      change(pairOf(s[out - 1], merged), word.count, w);
    }
    in += 2;
    if (in < word.length) {
      change(pairOf(right, s[in]), -word.count, w);
      change(pairOf(merged, s[in]), word.count, w);
    }
    s[out] = merged;
  }
  word.length = out;
}

Result<void> Trainer::learn() {
  while (parts.tokens.size() < options.vocab_size && !queue.empty()) {
    Candidate top = queue.top();
    queue.pop();
    auto known = pairs.find(top.pair);
    if (known == pairs.end()) continue;
    if (known->second.count != top.count) {
      top.count = known->second.count;
      if (top.count > 0) queue.push(top);
      continue;
    }
    if (top.count < static_cast<int64_t>(std::max<size_t>(1, options.min_frequency))) break;
    // A pair may return if another merge creates one of its tokens again. Its merge exists already.
    auto [entry, is_new] = learned.try_emplace(top.pair, 0);
    if (is_new) {
      entry->second = tokenFor(top.pair);
      parts.merges.push_back(parts.tokens[top.pair >> 32] + ' ' +
                             parts.tokens[static_cast<uint32_t>(top.pair)]);
    }
    mergeEverywhere(top.pair, entry->second);
    if (options.progress && parts.merges.size() % 64 == 0 &&
        !options.progress(parts.tokens.size(), options.vocab_size))
      return Error{"tokenizer training: cancelled"};
  }
  if (options.progress) options.progress(parts.tokens.size(), options.vocab_size);
  return {};
}

Result<Tokenizer> Trainer::train(std::span<const std::string_view> texts) {
  LINNET_TRY(startVocabulary());
  LINNET_TRY(countWords(texts));
  countPairs();
  LINNET_TRY(learn());
  return Tokenizer::fromParts(parts);
}

} // namespace

Result<Tokenizer> trainBpe(std::span<const std::string_view> texts, const TrainOptions &options) {
  return Trainer(options).train(texts);
}

} // namespace linnet
