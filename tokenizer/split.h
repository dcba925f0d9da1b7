// GPT-2's pre-split: text is split into words before byte pairs are merged, and no merge crosses a word's
// end. The pattern (openai/gpt-2, encoder.py) is
//
//   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
//
// It is matched by hand, for speed and so that token ids do not depend on a regex library. The tests compare
// it with PCRE2.
#pragma once
#include <cstddef>
#include <string_view>

namespace linnet {
/// The end of the word that starts at `begin` (< text.size()). `text` must be well-formed UTF-8, and `begin`
/// must be between characters. Every word has at least one character, and the words cover the text.
size_t wordEnd(std::string_view text, size_t begin);
} // namespace linnet
