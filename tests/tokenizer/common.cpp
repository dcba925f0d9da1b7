#include "tests/tokenizer/common.h"

using namespace linnet;

namespace test {

std::string hex(std::string_view bytes) {
  std::string out;
  for (unsigned char c : bytes) out += {"0123456789abcdef"[c >> 4], "0123456789abcdef"[c & 15], ' '};
  return out;
}

std::string list(const std::vector<TokenId> &ids) {
  std::string out;
  for (TokenId id : ids) out += std::to_string(id) + ' ';
  return out;
}

namespace {

// Length of the well-formed character at `at`, 0 if there is none. Table 3-7 of the Unicode Standard, row by
// row.
size_t wellFormed(std::string_view s, size_t at) {
  auto in = [&](size_t i, int low, int high) {
    return at + i < s.size() && static_cast<unsigned char>(s[at + i]) >= low &&
           static_cast<unsigned char>(s[at + i]) <= high;
  };
  auto tail = [&](size_t i) { return in(i, 0x80, 0xBF); };
  if (in(0, 0x00, 0x7F)) return 1;
  if (in(0, 0xC2, 0xDF) && tail(1)) return 2;
  if (in(0, 0xE0, 0xE0) && in(1, 0xA0, 0xBF) && tail(2)) return 3;
  if (in(0, 0xE1, 0xEC) && tail(1) && tail(2)) return 3;
  if (in(0, 0xED, 0xED) && in(1, 0x80, 0x9F) && tail(2)) return 3;
  if (in(0, 0xEE, 0xEF) && tail(1) && tail(2)) return 3;
  if (in(0, 0xF0, 0xF0) && in(1, 0x90, 0xBF) && tail(2) && tail(3)) return 4;
  if (in(0, 0xF1, 0xF3) && tail(1) && tail(2) && tail(3)) return 4;
  if (in(0, 0xF4, 0xF4) && in(1, 0x80, 0x8F) && tail(2) && tail(3)) return 4;
  return 0;
}

// Whether bytes of that kind begin some well-formed character: found by completing them in every way that
// matters.
bool beginsCharacter(std::string_view prefix) {
  for (unsigned char second : {0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF}) {
    std::string whole(prefix);
    if (whole.size() < 2) whole += static_cast<char>(second);
    while (whole.size() < 4) whole += '\x80';
    if (wellFormed(whole, 0) > prefix.size()) return true;
  }
  return false;
}

} // namespace

bool isUtf8(std::string_view bytes) { return replaced(bytes) == bytes; }

std::string replaced(std::string_view bytes) {
  std::string out;
  for (size_t at = 0; at < bytes.size();) {
    size_t n = wellFormed(bytes, at);
    if (n) {
      out += bytes.substr(at, n);
    } else {
      out += "\uFFFD";
      for (n = 1; at + n < bytes.size() && beginsCharacter(bytes.substr(at, n + 1)); ++n) {
      }
    }
    at += n;
  }
  return out;
}

const Tokenizer &small() {
  static const Tokenizer tokenizer = [] {
    std::vector<std::string_view> texts = {
        "The quick brown fox jumps over the lazy dog, and the dog doesn't mind: he'll sleep, they're "
        "friends.",
        "In the beginning the house was empty; in the end the house was full of the children's laughter.",
        "Numbers 1234 and 12345, tabs\tand\n\nlines, caf\u00e9s in Z\u00fcrich, \u4e2d\u6587\u4e2d\u6587 and "
        "\U0001F600\U0001F600.",
        "the the the house house house doesn't doesn't isn't isn't I'm I'm we've we've 2024 2024 2025 ... "
        "!!! ???"};
    TrainOptions options;
    options.vocab_size = 400;
    options.min_frequency = 1;
    return take(trainBpe(texts, options));
  }();
  return tokenizer;
}

} // namespace test
