// Tables of Unicode, written by make_text_tables.mjs, and the texts that they give: lower case and the four
// normalization forms. Each has the Unicode version of Hugging Face tokenizers, because ids depend on it.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace linnet::text_tables {

enum class Form : uint8_t { Nfc, Nfd, Nfkc, Nfkd };

/// `text` must be well-formed UTF-8.
std::string normalized(std::string_view text, Form form);
/// The lower case of each character by itself: a final sigma is not special.
std::string lowerCase(std::string_view text);

/// Runs of code points with the same general category: first << 8 | index of its name.
std::span<const uint32_t> categoryRuns();
std::string_view categoryName(uint32_t index);
/// Pairs of the first and the last code point of a range.
std::span<const uint32_t> otherAlphabetic(); // Alphabetic, and neither letter, mark nor number
std::span<const uint32_t> punctuation();
std::span<const uint32_t> whiteSpace();

} // namespace linnet::text_tables
