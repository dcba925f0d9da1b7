// UTF-8, and the character classes of GPT-2's pre-split pattern.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace linnet::unicode {

/// The classes of the pattern: \p{L}, \p{N}, \s and all others, in Unicode 16.0. \s is the property
/// White_Space, as in tiktoken and Hugging Face tokenizers: U+0085, U+00A0 and U+3000 are space; U+180E,
/// U+200B and U+FEFF are not.
enum class Class : uint8_t { Other = 0, Letter = 1, Number = 2, Space = 3 };

/// The class of any code point; Other above U+10FFFF.
Class classOf(uint32_t code_point);

/// Whether a regular expression's \w matches the code point (UTS #18): Alphabetic, Mark, Decimal_Number,
/// Connector_Punctuation or Join_Control of Unicode 16.0. False above U+10FFFF.
bool isWord(uint32_t code_point);

/// The length in bytes of the well-formed UTF-8 character at the start of `text` (not empty), or 0. If it is
/// 0, `bad` is the length of the maximal subpart that becomes one U+FFFD (Unicode 16.0 section 3.9, like
/// WHATWG decoders). If `text` ends with the beginning of a character, `incomplete` is true and `bad` covers
/// all of it.
struct Scan {
  uint8_t length = 0;
  uint8_t bad = 0;
  bool incomplete = false;
};
Scan scanCharacter(std::string_view text);

/// The number of bytes before the first one that is not part of well-formed UTF-8.
size_t validPrefix(std::string_view text);
inline bool isValid(std::string_view text) { return validPrefix(text) == text.size(); }

/// Appends `text` to `out`, each maximal ill-formed subpart replaced by U+FFFD.
void appendReplacing(std::string &out, std::string_view text);

/// Appends a code point (not a surrogate, at most U+10FFFF).
void append(std::string &out, uint32_t code_point);

/// The offset of the character that ends at offset `end` (> 0) of well-formed text.
inline size_t previous(std::string_view text, size_t end) {
  do --end;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80);
  return end;
}

/// Reads one character of well-formed text and moves `at` past it.
inline uint32_t next(const char *text, size_t &at) {
  auto byte = [&](size_t i) { return static_cast<uint32_t>(static_cast<unsigned char>(text[i])); };
  uint32_t b = byte(at);
  if (b < 0x80) return at += 1, b;
  if (b < 0xE0) return at += 2, (b & 0x1F) << 6 | (byte(at - 1) & 0x3F);
  if (b < 0xF0) return at += 3, (b & 0x0F) << 12 | (byte(at - 2) & 0x3F) << 6 | (byte(at - 1) & 0x3F);
  at += 4;
  return (b & 0x07) << 18 | (byte(at - 3) & 0x3F) << 12 | (byte(at - 2) & 0x3F) << 6 | (byte(at - 1) & 0x3F);
}

} // namespace linnet::unicode
