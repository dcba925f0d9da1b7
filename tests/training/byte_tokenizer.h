// A tokenizer of single letters and the space.
#pragma once
#include "tests/catch.h"
#include "tokenizer/tokenizer.h"

#include <string>

namespace linnet::testing {

inline constexpr TokenId kEnd = 27;

/// `ends` adds an end-of-text token, kEnd. `around` also puts it before and after each text.
inline Tokenizer byteTokenizer(bool ends = true, bool around = false) {
  TokenizerParts parts;
  for (char c = 'a'; c <= 'z'; ++c) parts.tokens.push_back(std::string(1, c));
  parts.tokens.push_back("\xC4\xA0"); // the space
  if (ends) {
    AddedToken end;
    end.content = "<|endoftext|>";
    end.id = kEnd;
    end.special = true;
    parts.added = {end};
    parts.bos = parts.eos = parts.unk = parts.unknown_byte = kEnd;
    parts.missing_byte = MissingByte::Unknown;
  }
  if (around) parts.prefix = parts.suffix = {kEnd};
  auto made = Tokenizer::fromParts(parts);
  REQUIRE(made.ok());
  return *made;
}

} // namespace linnet::testing
