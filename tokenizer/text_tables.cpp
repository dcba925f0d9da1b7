#include "tokenizer/text_tables.h"
#include "tokenizer/unicode.h"

#include <algorithm>
#include <vector>

namespace linnet::text_tables {
namespace {
#include "tokenizer/text_tables.inc"

// Hangul syllables are composed by arithmetic (Unicode 16.0 section 3.12).
constexpr uint32_t kSyllables = 0xAC00, kLeading = 0x1100, kVowels = 0x1161, kTrailing = 0x11A7;
constexpr uint32_t kLeadingCount = 19, kVowelCount = 21, kTrailingCount = 28;
constexpr uint32_t kSyllableCount = kLeadingCount * kVowelCount * kTrailingCount;
constexpr uint32_t kFirstDecomposed = 0xA0; // no smaller code point has a decomposition
constexpr uint32_t kFirstCombining = 0x300; // nor a combining class or a composition with the one before it

// The second element of the pair whose first element is `key`, or 0. `pairs` is sorted.
template <size_t N> uint32_t find(const uint32_t (&pairs)[N], uint32_t key) {
  size_t low = 0, high = N / 2;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (pairs[2 * middle] < key)
      low = middle + 1;
    else
      high = middle;
  }
  return low < N / 2 && pairs[2 * low] == key ? pairs[2 * low + 1] : 0;
}

uint32_t combiningClass(uint32_t c) { return c < kFirstCombining ? 0 : find(kCombining, c); }

// The composition of two code points, or 0.
uint32_t composition(uint32_t a, uint32_t b) {
  if (a - kLeading < kLeadingCount && b - kVowels < kVowelCount)
    return kSyllables + ((a - kLeading) * kVowelCount + (b - kVowels)) * kTrailingCount;
  if (a - kSyllables < kSyllableCount && (a - kSyllables) % kTrailingCount == 0 && b > kTrailing &&
      b < kTrailing + kTrailingCount)
    return a + (b - kTrailing);
  constexpr size_t kTriple = 3, n = std::size(kComposed) / kTriple;
  size_t low = 0, high = n;
  while (low < high) {
    size_t middle = (low + high) / 2;
    const uint32_t *entry = kComposed + kTriple * middle;
    if (entry[0] < a || (entry[0] == a && entry[1] < b))
      low = middle + 1;
    else
      high = middle;
  }
  const uint32_t *entry = kComposed + kTriple * low;
  return low < n && entry[0] == a && entry[1] == b ? entry[2] : 0;
}

void decompose(uint32_t c, bool compatible, std::vector<uint32_t> &out) {
  if (c < kFirstDecomposed) return out.push_back(c);
  if (c - kSyllables < kSyllableCount) {
    uint32_t i = c - kSyllables, trailing = i % kTrailingCount;
    out.push_back(kLeading + i / (kVowelCount * kTrailingCount));
    out.push_back(kVowels + i / kTrailingCount % kVowelCount);
    if (trailing) out.push_back(kTrailing + trailing);
    return;
  }
  uint32_t entry = compatible ? find(kCompatible, c) : 0;
  if (!entry) entry = find(kCanonical, c);
  if (!entry) return out.push_back(c);
  const uint32_t *from = kDecomposed + (entry >> 8);
  out.insert(out.end(), from, from + (entry & 0xFF));
}

// Sorts each run of combining characters by class.
void reorder(std::vector<uint32_t> &text) {
  auto byClass = [](uint32_t a, uint32_t b) { return combiningClass(a) < combiningClass(b); };
  for (size_t i = 0; i < text.size(); ++i) {
    if (!combiningClass(text[i])) continue;
    size_t begin = i;
    while (i < text.size() && combiningClass(text[i])) ++i;
    std::stable_sort(text.begin() + static_cast<ptrdiff_t>(begin), text.begin() + static_cast<ptrdiff_t>(i),
                     byClass);
  }
}

void compose(std::vector<uint32_t> &text) {
  size_t n = 0, starter = 0;
  bool has_starter = false;
  uint32_t last_class = 0; // of the character before, since the starter
  for (uint32_t c : text) {
    uint32_t its_class = combiningClass(c);
    bool adjacent = has_starter && n == starter + 1;
    if (has_starter && (adjacent || (last_class < its_class && last_class != 0)))
      if (uint32_t whole = composition(text[starter], c)) {
        text[starter] = whole;
        continue;
      }
    if (!its_class) starter = n, has_starter = true;
    last_class = its_class;
    text[n++] = c;
  }
  text.resize(n);
}

} // namespace

std::string normalized(std::string_view text, Form form) {
  // Most texts have no character that changes. ASCII never does, nor does Latin-1 in NFC.
  bool compatible = form == Form::Nfkc || form == Form::Nfkd,
       composes = form == Form::Nfc || form == Form::Nfkc;
  uint32_t unchanged = form == Form::Nfc ? kFirstCombining : kFirstDecomposed;
  std::string out;
  out.reserve(text.size());
  std::vector<uint32_t> run;
  for (size_t at = 0; at < text.size();) {
    // Copies characters that neither change nor combine with the next one.
    size_t begin = at;
    while (at < text.size()) {
      size_t next = at;
      uint32_t c = unicode::next(text.data(), next);
      if (c >= unchanged) break;
      at = next;
    }
    // The last of them may combine with the character after them.
    size_t keep = at;
    if (at < text.size() && at > begin) {
      --keep;
      while (keep > begin && (static_cast<unsigned char>(text[keep]) & 0xC0) == 0x80) --keep;
    }
    out.append(text.substr(begin, keep - begin));
    run.clear();
    for (at = keep; at < text.size();) {
      size_t next = at;
      uint32_t c = unicode::next(text.data(), next);
      if (c < unchanged && !run.empty() && at != keep) break;
      decompose(c, compatible, run);
      at = next;
    }
    reorder(run);
    if (composes) compose(run);
    for (uint32_t c : run) unicode::append(out, c);
  }
  return out;
}

std::string lowerCase(std::string_view text) {
  constexpr uint32_t kDottedI = 0x130, kDotAbove = 0x307;
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    uint32_t c = unicode::next(text.data(), at);
    if (c == kDottedI) {
      out += 'i';
      unicode::append(out, kDotAbove);
    } else {
      uint32_t lower = find(kLowerCase, c);
      unicode::append(out, lower ? lower : c);
    }
  }
  return out;
}

std::span<const uint32_t> categoryRuns() { return kCategoryRuns; }
std::string_view categoryName(uint32_t index) { return kCategoryNames[index]; }
std::span<const uint32_t> otherAlphabetic() { return kOtherAlphabetic; }
std::span<const uint32_t> punctuation() { return kPunctuation; }
std::span<const uint32_t> whiteSpace() { return kWhiteSpace; }

} // namespace linnet::text_tables
