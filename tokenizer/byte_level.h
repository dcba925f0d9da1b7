// GPT-2's printable spelling of bytes: each byte is written as one visible character ("Ġ" is a space), so
// that any byte string can be a JSON key and a line of merges.txt. Source: bytes_to_unicode() of
// openai/gpt-2, encoder.py.
#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace linnet::byte_level {
/// Bytes -> printable spelling (UTF-8).
std::string spell(std::string_view bytes);
/// Spelling -> bytes; nothing if a character is outside the alphabet of 256.
std::optional<std::string> unspell(std::string_view spelling);
} // namespace linnet::byte_level
