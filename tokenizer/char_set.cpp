#include "tokenizer/char_set.h"
#include "tokenizer/text_tables.h"

#include <algorithm>

namespace linnet {
namespace {
constexpr uint32_t kLastCodePoint = 0x10FFFF, kTableEnd = 0xFFFF;
constexpr std::pair<std::string_view, std::string_view> kLongNames[] = {
    {"Letter", "L"}, {"Mark", "M"},   {"Number", "N"},   {"Punctuation", "P"},
    {"Punct", "P"},  {"Symbol", "S"}, {"Separator", "Z"}};

void addRanges(CharSet &set, std::span<const uint32_t> pairs) {
  for (size_t i = 0; i + 1 < pairs.size(); i += 2) set.add(pairs[i], pairs[i + 1]);
}
} // namespace

void CharSet::add(uint32_t first, uint32_t last) {
  ranges.push_back({first, std::min(last, kLastCodePoint)});
}

void CharSet::add(const CharSet &other) {
  ranges.insert(ranges.end(), other.ranges.begin(), other.ranges.end());
}

bool CharSet::addCategory(std::string_view name) {
  for (auto [long_name, short_name] : kLongNames)
    if (name == long_name) name = short_name;
  bool known = false;
  auto runs = text_tables::categoryRuns();
  for (size_t i = 0; i < runs.size(); ++i) {
    std::string_view category = text_tables::categoryName(runs[i] & 0xFF);
    if (category != name && category.substr(0, 1) != name) continue;
    known = true;
    add(runs[i] >> 8, i + 1 < runs.size() ? (runs[i + 1] >> 8) - 1 : kLastCodePoint);
  }
  return known;
}

void CharSet::addWord() {
  for (const char *category : {"L", "M", "N", "Pc"}) addCategory(category);
  addRanges(*this, text_tables::otherAlphabetic());
}

void CharSet::addDigit() { addCategory("Nd"); }

void CharSet::addSpace() { addRanges(*this, text_tables::whiteSpace()); }

void CharSet::addPunctuation() {
  addRanges(*this, text_tables::punctuation());
  for (auto [first, last] :
       {std::pair('!', '/'), std::pair(':', '@'), std::pair('[', '`'), std::pair('{', '~')})
    add(static_cast<uint32_t>(first), static_cast<uint32_t>(last));
}

void CharSet::addOtherCase() {
  CharSet before = *this;
  before.finish();
  for (uint32_t upper = 'A'; upper <= 'Z'; ++upper) {
    uint32_t lower = upper + 'a' - 'A', third = lower == 's' ? 0x17F : lower == 'k' ? 0x212A : lower;
    if (before.contains(upper) || before.contains(lower) || before.contains(third))
      for (uint32_t c : {upper, lower, third}) add(c, c);
  }
}

void CharSet::sort() {
  std::sort(ranges.begin(), ranges.end(), [](Range a, Range b) { return a.first < b.first; });
  std::vector<Range> merged;
  for (Range range : ranges) {
    if (!merged.empty() && range.first <= merged.back().last + 1)
      merged.back().last = std::max(merged.back().last, range.last);
    else
      merged.push_back(range);
  }
  ranges = std::move(merged);
}

void CharSet::invert() {
  sort();
  std::vector<Range> others;
  uint32_t next = 0;
  for (Range range : ranges) {
    if (range.first > next) others.push_back({next, range.first - 1});
    next = range.last + 1;
  }
  if (next <= kLastCodePoint) others.push_back({next, kLastCodePoint});
  ranges = std::move(others);
}

void CharSet::finish() {
  sort();
  low.clear();
  for (Range range : ranges) {
    if (range.first > kTableEnd) break;
    uint32_t last = std::min(range.last, kTableEnd);
    low.resize((last >> 6) + 1);
    for (uint32_t c = range.first; c <= last; ++c) low[c >> 6] |= uint64_t(1) << (c & 63);
  }
}

bool CharSet::containsHigh(uint32_t c) const {
  auto after = std::upper_bound(ranges.begin(), ranges.end(), c,
                                [](uint32_t value, Range range) { return value < range.first; });
  return after != ranges.begin() && c <= std::prev(after)->last;
}

bool CharSet::containsAbove(uint32_t c) const {
  return std::any_of(ranges.begin(), ranges.end(), [&](Range range) { return range.last >= c; });
}

} // namespace linnet
