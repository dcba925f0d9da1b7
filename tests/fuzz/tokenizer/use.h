// What a fuzz target does with a tokenizer that a loader accepted: everything, and the laws must hold.
#pragma once
#include "tokenizer/tokenizer.h"
#include <cstdio>
#include <cstdlib>

namespace fuzz {

inline void require(bool holds, const char *law) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", law);
  std::abort();
}

inline std::string_view text(const uint8_t *data, size_t size) {
  return {reinterpret_cast<const char *>(data), size};
}

inline void use(const linnet::Tokenizer &tokenizer, std::string_view text) {
  using namespace linnet;
  auto encoded = tokenizer.encode(text);
  if (encoded) {
    auto decoded = tokenizer.decode(encoded->ids);
    require(decoded.ok(), "what encode gives, decode takes");
    StreamDecoder stream(tokenizer);
    std::string streamed;
    for (TokenId id : encoded->ids) streamed += stream.push(id);
    streamed += stream.flush();
    require(streamed == *decoded, "streamed and whole are equal");
  }
  EncodeOptions options;
  options.parse_special = false;
  options.truncation = true;
  options.padding = Padding::MaxLength;
  options.max_length = 16;
  options.pad_id = 0;
  if (auto padded = tokenizer.encode(text, options))
    require(padded->ids.size() == 16, "padded to max_length");
  require(tokenizer.vocab().size() == tokenizer.size(), "vocab() has size() tokens");
}

inline void useAndRebuild(const linnet::Tokenizer &tokenizer, std::string_view text) {
  using namespace linnet;
  use(tokenizer, text);
  auto bytes = tokenizer.serialize();
  auto again = Tokenizer::fromBytes(bytes);
  require(again.ok(), "what serialize gives, fromBytes takes");
  auto rebuilt = Tokenizer::fromParts(tokenizer.parts());
  require(rebuilt.ok() && rebuilt->serialize() == bytes, "parts and back are the same");
}

} // namespace fuzz
