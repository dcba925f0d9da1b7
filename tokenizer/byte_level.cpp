#include "tokenizer/byte_level.h"
#include "tokenizer/unicode.h"

#include <array>
#include <cstdint>

namespace linnet::byte_level {
namespace {

struct Alphabet {
  std::array<uint16_t, 256> char_of{};
  std::array<int16_t, 324> byte_of{};
};

// Visible Latin-1 characters are spelled as themselves. The other 68 bytes become U+0100, U+0101, ... in
// order.
constexpr Alphabet makeAlphabet() {
  Alphabet a;
  for (auto &b : a.byte_of) b = -1;
  uint16_t next = 256;
  for (int b = 0; b < 256; ++b) {
    bool visible = (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
    a.char_of[b] = visible ? static_cast<uint16_t>(b) : next++;
    a.byte_of[a.char_of[b]] = static_cast<int16_t>(b);
  }
  return a;
}
constexpr Alphabet kAlphabet = makeAlphabet();

} // namespace

std::string spell(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() + bytes.size() / 4);
  for (char c : bytes) unicode::append(out, kAlphabet.char_of[static_cast<unsigned char>(c)]);
  return out;
}

std::optional<std::string> unspell(std::string_view spelling) {
  if (!unicode::isValid(spelling)) return std::nullopt;
  std::string out;
  out.reserve(spelling.size());
  for (size_t at = 0; at < spelling.size();) {
    uint32_t c = unicode::next(spelling.data(), at);
    if (c >= kAlphabet.byte_of.size() || kAlphabet.byte_of[c] < 0) return std::nullopt;
    out.push_back(static_cast<char>(kAlphabet.byte_of[c]));
  }
  return out;
}

} // namespace linnet::byte_level
