#include "tokenizer/unicode.h"

#include <algorithm>
#include <cstring>

namespace linnet::unicode {
namespace {
#include "tokenizer/unicode_tables.inc"

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
} // namespace

Class classOf(uint32_t c) {
  if (c > 0x10FFFF) return Class::Other;
  return static_cast<Class>(kBlocks[kBlockOf[c >> 8]][(c >> 5) & 7] >> (2 * (c & 31)) & 3);
}

bool isWord(uint32_t c) {
  if (c > 0x10FFFF) return false;
  return kWordBlocks[kWordBlockOf[c >> 8]][(c >> 6) & 3] >> (c & 63) & 1;
}

Scan scanCharacter(std::string_view text) {
  auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  unsigned char lead = byte(0);
  if (lead < 0x80) return {1, 0, false};
  if (lead < 0xC2 || lead > 0xF4) return {0, 1, false};
  uint8_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  // The range of the second byte excludes overlong forms, surrogates and code points above U+10FFFF.
  unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  for (uint8_t i = 1; i < length; ++i) {
    if (i >= text.size()) return {0, i, true};
    if (byte(i) < low || byte(i) > high) return {0, i, false};
    low = 0x80, high = 0xBF;
  }
  return {length, 0, false};
}

size_t validPrefix(std::string_view text) {
  size_t i = 0;
  while (i < text.size()) {
    if (i + 8 <= text.size()) {
      uint64_t word;
      std::memcpy(&word, text.data() + i, 8);
      if (!(word & 0x8080808080808080u)) {
        i += 8;
        continue;
      }
    }
    Scan scan = scanCharacter(text.substr(i, 4));
    if (!scan.length) return i;
    i += scan.length;
  }
  return i;
}

void appendReplacing(std::string &out, std::string_view text) {
  while (!text.empty()) {
    size_t good = validPrefix(text);
    out.append(text.substr(0, good));
    text.remove_prefix(good);
    if (text.empty()) return;
    out.append(kReplacement);
    text.remove_prefix(scanCharacter(text.substr(0, std::min<size_t>(4, text.size()))).bad);
  }
}

void append(std::string &out, uint32_t c) {
  auto put = [&](uint32_t b) { out.push_back(static_cast<char>(b)); };
  if (c < 0x80) return put(c);
  if (c < 0x800) return put(0xC0 | c >> 6), put(0x80 | (c & 0x3F));
  if (c < 0x10000) return put(0xE0 | c >> 12), put(0x80 | (c >> 6 & 0x3F)), put(0x80 | (c & 0x3F));
  put(0xF0 | c >> 18), put(0x80 | (c >> 12 & 0x3F)), put(0x80 | (c >> 6 & 0x3F)), put(0x80 | (c & 0x3F));
}

} // namespace linnet::unicode
