#include "tokenizer/split.h"
#include "tokenizer/unicode.h"

#include <array>

namespace linnet {
namespace {
using unicode::Class;

constexpr std::array<Class, 128> makeAscii() {
  std::array<Class, 128> classes{};
  for (int c = 0; c < 128; ++c) {
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    bool space = c == ' ' || (c >= 9 && c <= 13);
    classes[c] = letter                 ? Class::Letter
                 : c >= '0' && c <= '9' ? Class::Number
                 : space                ? Class::Space
                                        : Class::Other;
  }
  return classes;
}
constexpr std::array<Class, 128> kAscii = makeAscii();

// The class of the character at `at`. Moves `at` past it.
inline Class step(std::string_view text, size_t &at) {
  auto byte = static_cast<unsigned char>(text[at]);
  if (byte < 128) return ++at, kAscii[byte];
  return unicode::classOf(unicode::next(text.data(), at));
}

inline size_t runEnd(std::string_view text, size_t at, Class wanted) {
  while (at < text.size()) {
    size_t next = at;
    if (step(text, next) != wanted) break;
    at = next;
  }
  return at;
}

// 's 't 'm 'd 're 've 'll: the length of the contraction that starts with the apostrophe at `at`, or 0.
inline size_t contraction(std::string_view text, size_t at) {
  if (at + 1 >= text.size()) return 0;
  char a = text[at + 1], b = at + 2 < text.size() ? text[at + 2] : '\0';
  if (a == 's' || a == 't' || a == 'm' || a == 'd') return 2;
  if ((a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l')) return 3;
  return 0;
}

// \s+(?!\S)|\s+ : the whole run at the end of the text, otherwise all except its last character, unless it
// has only one.
size_t spaceEnd(std::string_view text, size_t begin) {
  size_t at = begin, last = begin;
  while (at < text.size()) {
    size_t next = at;
    if (step(text, next) != Class::Space) return last > begin ? last : at;
    last = at;
    at = next;
  }
  return at;
}

} // namespace

size_t wordEnd(std::string_view text, size_t begin) {
  size_t at = begin;
  if (text[begin] == '\'')
    if (size_t n = contraction(text, begin)) return begin + n;
  Class first = step(text, at);
  if (text[begin] == ' ' && at < text.size()) first = step(text, at);
  return first == Class::Space ? spaceEnd(text, begin) : runEnd(text, at, first);
}

} // namespace linnet
