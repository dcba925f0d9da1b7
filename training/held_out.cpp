#include "training/held_out.h"
#include "support/error.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace linnet::training {
namespace {

constexpr size_t kFewTexts = 20;
/// Bytes. The loss of a shorter stretch is too inaccurate, and it may be a single token.
constexpr size_t kShortestStretch = 64;

bool isContinuation(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

/// The first offset from `at` on where the text may be cut: before nearby white space, so that no word is
/// cut, else before a character.
size_t placeToCut(std::string_view text, size_t at) {
  constexpr size_t kFarthest = 64; // longer than words
  size_t space = text.find_first_of(" \n\r\t", at);
  if (space != text.npos && space - at <= kFarthest) return space;
  while (at < text.size() && isContinuation(text[at])) ++at;
  return at;
}

/// The held-out stretch of a text; empty if the text is too short.
Stretch stretchOf(std::string_view text, size_t record, double share) {
  auto length = static_cast<size_t>(std::llround(static_cast<double>(text.size()) * share));
  size_t rest = text.size() - length, after = std::min(length, rest / 2);
  Stretch stretch{record, placeToCut(text, rest - after), placeToCut(text, text.size() - after)};
  if (stretch.end >= text.size() || stretch.end - stretch.begin < kShortestStretch)
    stretch.end = stretch.begin;
  return stretch;
}

std::vector<size_t> numbers(size_t count) {
  std::vector<size_t> all(count);
  std::iota(all.begin(), all.end(), size_t(0));
  return all;
}

} // namespace

Split splitTexts(const std::vector<Record> &records, double share, uint64_t seed) {
  if (records.size() >= kFewTexts || share <= 0) return splitEvenly(records.size(), share, seed);
  Split split;
  split.train = numbers(records.size());
  bool plain = std::all_of(records.begin(), records.end(), [](const Record &r) { return !r.learned_from; });
  for (size_t i = 0; plain && i < records.size(); ++i)
    if (Stretch stretch = stretchOf(records[i].text, i, share); stretch.begin < stretch.end)
      split.stretches.push_back(stretch);
  bool some = std::llround(static_cast<double>(records.size()) * share) > 0 && records.size() > 1;
  return split.stretches.empty() && some ? splitEvenly(records.size(), share, seed) : split;
}

Result<Streams> streamsOf(const std::vector<Record> &records, const Split &split, const Tokenizer &tokenizer,
                          std::optional<TokenId> end, const std::string &where) {
  StreamWriter writer(tokenizer, end, where);
  Streams streams;
  auto cut = [&](std::string_view text, int64_t line, TokenStream &stream) -> Result<void> {
    size_t first = stream.ids.size();
    LINNET_TRY(writer.addPart(text, line, true, stream));
    if (first < stream.ids.size()) stream.learned[first] = 0;
    return {};
  };
  for (size_t i : split.held_out) LINNET_TRY(writer.addRecord(records[i], streams.held_out));
  auto next = split.stretches.begin(); // in the order of the records, like split.train
  for (size_t i : split.train) {
    const Record &record = records[i];
    if (next == split.stretches.end() || next->record != i) {
      LINNET_TRY(writer.addRecord(record, streams.train));
      continue;
    }
    std::string_view text = record.text;
    writer.addStart(streams.train, true);
    LINNET_TRY(writer.addPart(text.substr(0, next->begin), record.line, true, streams.train));
    LINNET_TRY(cut(text.substr(next->end), record.line, streams.train));
    writer.addEnd(streams.train);
    LINNET_TRY(cut(text.substr(next->begin, next->end - next->begin), record.line, streams.held_out));
    ++next;
  }
  return streams;
}

std::optional<TokenId> endOfText(const Tokenizer &tokenizer, std::span<const int64_t> named) {
  std::optional<TokenId> own = tokenizer.eosId();
  bool stops = own && std::find(named.begin(), named.end(), *own) != named.end();
  return named.empty() || stops ? own : static_cast<TokenId>(named.front());
}

std::string describe(const Split &split, size_t texts) {
  auto of = [&](size_t count) {
    return texts == 1 ? std::string("the text") : fmt::format("{} of {} texts", count, texts);
  };
  if (!split.stretches.empty()) {
    size_t bytes = 0;
    for (const Stretch &stretch : split.stretches) bytes += stretch.end - stretch.begin;
    return fmt::format("held out: a stretch before the end of {}, {} bytes in all",
                       of(split.stretches.size()), bytes);
  }
  if (!split.held_out.empty()) return fmt::format("held out: {}", of(split.held_out.size()));
  return "held out: nothing";
}

} // namespace linnet::training
