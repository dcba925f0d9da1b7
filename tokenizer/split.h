// GPT-2's pre-split: text is cut into words before byte pairs are merged, and no merge crosses a cut. The
// pattern is
//
//   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+      (openai/gpt-2,
//   encoder.py)
//
// matched by hand here, for speed and so that no regex library decides token ids; the tests hold it equal to
// PCRE2.
#pragma once
#include <cstddef>
#include <string_view>

namespace linnet {
/// The end of the word that starts at `begin` (< text.size()). `text` is well-formed UTF-8 and `begin` lies
/// between characters. Every word is at least one character long and the words tile the text.
size_t wordEnd(std::string_view text, size_t begin);
} // namespace linnet
