// The hand-written pre-split against PCRE2, and the character classes against PCRE2's Unicode tables.
#include "tests/catch.h"
#include "tests/tokenizer/common.h"
#include "tokenizer/split.h"
#include "tokenizer/unicode.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <memory>
#include <pcre2.h>

using namespace linnet;
using unicode::Class;

namespace {

class Pattern {
public:
  explicit Pattern(const std::string &source) {
    int error;
    PCRE2_SIZE where;
    code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(source.data()), source.size(), PCRE2_UTF | PCRE2_UCP,
                         &error, &where, nullptr);
    REQUIRE(code != nullptr);
    pcre2_jit_compile(code, PCRE2_JIT_COMPLETE); // where there is no JIT, the interpreter answers the same
    match = pcre2_match_data_create(1, nullptr);
  }
  ~Pattern() {
    pcre2_match_data_free(match);
    pcre2_code_free(code);
  }
  /// The end of the match that starts at `begin`, or `begin` if there is none.
  size_t end(std::string_view text, size_t begin) const {
    int n = pcre2_match(code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), begin,
                        PCRE2_ANCHORED | PCRE2_NO_UTF_CHECK, match, nullptr);
    return n < 0 ? begin : pcre2_get_ovector_pointer(match)[1];
  }

private:
  pcre2_code *code;
  pcre2_match_data *match;
};

// [\x{a}-\x{b}...] for one of our classes.
std::string ranges(Class wanted) {
  std::string out;
  char buffer[64];
  for (uint32_t c = 0, first; c <= 0x10FFFF; ++c) {
    if (unicode::classOf(c) != wanted) continue;
    for (first = c; c < 0x10FFFF && unicode::classOf(c + 1) == wanted; ++c) {
    }
    std::snprintf(buffer, sizeof buffer, "\\x{%x}-\\x{%x}", first, c);
    out += buffer;
  }
  return out;
}

// GPT-2's pattern, with \p{L}, \p{N} and \s spelled out as our tables have them: PCRE2's own follow the
// Unicode version it was built with, and its \s also has U+180E.
const Pattern &gpt2() {
  static const Pattern pattern = [] {
    std::string l = ranges(Class::Letter), n = ranges(Class::Number), s = ranges(Class::Space);
    return Pattern("'s|'t|'re|'ve|'m|'ll|'d| ?[" + l + "]+| ?[" + n + "]+| ?[^" + s + l + n + "]+|[" + s +
                   "]+(?![^" + s + "])|[" + s + "]+");
  }();
  return pattern;
}

// The first place where the two disagree; none: npos.
size_t difference(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    size_t end = wordEnd(text, at);
    if (end <= at || end != gpt2().end(text, at)) return at;
    at = end;
  }
  return std::string::npos;
}

const std::vector<std::string> kPieces = {
    " ", "\n",     "\t",     "\u3000",     "\u00a0", "\u0085", "\u200b", "\ufeff", "a",   "\u00e9", "\u4e2d",
    "1", "\u0663", "\u00bd", "!",          "'",      "s",      "t",      "r",      "e",   "v",      "l",
    "m", "d",      "\u0301", "\U0001F600", "\u200d", "'s",     "'ll",    "'re",    "'ve", "_"};

} // namespace

TEST_CASE("Split: every string of up to five pieces") {
  const std::vector<std::string> pieces = {" ", "\n", "\u3000", "a", "1", "!", "'", "s", "l"};
  size_t n_strings = 0, n_wrong = 0;
  for (size_t length = 1; length <= 5; ++length) {
    std::vector<size_t> digits(length, 0);
    for (bool more = true; more; ++n_strings) {
      std::string text;
      for (size_t d : digits) text += pieces[d];
      if (difference(text) != std::string::npos && ++n_wrong < 5) UNSCOPED_INFO(test::hex(text));
      size_t i = 0;
      while (i < length && ++digits[i] == pieces.size()) digits[i++] = 0;
      more = i < length;
    }
  }
  CHECK(n_strings == 9 + 81 + 729 + 6561 + 59049);
  CHECK(n_wrong == 0);
}

TEST_CASE("Split: random strings") {
  test::Random random;
  size_t n_wrong = 0;
  for (int i = 0; i < 50000; ++i) {
    std::string text;
    for (size_t n = 1 + random.below(30); n > 0; --n) {
      const std::string &piece = kPieces[random.below(kPieces.size())];
      for (size_t k = random.below(8) ? 1 : random.below(20); k > 0; --k) text += piece;
    }
    if (difference(text) != std::string::npos && ++n_wrong < 5) UNSCOPED_INFO(test::hex(text));
  }
  CHECK(n_wrong == 0);
}

TEST_CASE("Split: words tile long texts") {
  for (const std::string &piece : kPieces) {
    std::string text;
    for (int i = 0; i < 5000; ++i) text += piece;
    for (const char *end : {"", "x", " ", "\n!"}) CHECK(difference(text + end) == std::string::npos);
  }
}

// PCRE2 10.42 (Debian 12) has Unicode 14, ours is 16: they must agree wherever PCRE2 knows the code point.
TEST_CASE("Split: letters and numbers are PCRE2's") {
  Pattern letter("\\p{L}"), number("\\p{N}"), unassigned("\\p{Cn}");
  size_t n_wrong = 0, n_known = 0;
  for (uint32_t c = 0; c <= 0x10FFFF; ++c) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    std::string text;
    unicode::append(text, c);
    Class found = unicode::classOf(c);
    bool l = letter.end(text, 0) > 0, n = number.end(text, 0) > 0;
    // A newer PCRE2 may know letters that Unicode 16 does not; an older one knows fewer.
    if (found == Class::Other && (l || n))
      n_wrong += unassigned.end(text, 0) > 0;
    else if (unassigned.end(text, 0) == 0)
      n_wrong += l != (found == Class::Letter) || n != (found == Class::Number);
    n_known += unassigned.end(text, 0) == 0;
  }
  CHECK(n_wrong == 0);
  CHECK(n_known > 280000);
}

TEST_CASE("Split: white space is Unicode's White_Space") {
  std::vector<uint32_t> expected = {0x09,   0x0A,   0x0B,   0x0C,   0x0D,   0x20,   0x85,   0xA0,   0x1680,
                                    0x2000, 0x2001, 0x2002, 0x2003, 0x2004, 0x2005, 0x2006, 0x2007, 0x2008,
                                    0x2009, 0x200A, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000};
  std::vector<uint32_t> found;
  for (uint32_t c = 0; c <= 0x10FFFF + 10; ++c)
    if (unicode::classOf(c) == Class::Space) found.push_back(c);
  CHECK(found == expected);
}
