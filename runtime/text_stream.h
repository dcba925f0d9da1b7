// Decodes tokens one at a time and cuts the text at the first stop text.
#pragma once
#include "tokenizer/tokenizer.h"

#include <string>
#include <string_view>
#include <vector>

namespace linnet {

/// Finds the first of several texts in a stream. Holds text back while it may be the beginning of one.
class StopMatcher {
public:
  explicit StopMatcher(std::vector<std::string> stops) : stops(std::move(stops)) {}
  /// Returns the text that can be shown now. If stopped() is true afterwards, that is the text before the
  /// stop text.
  std::string push(std::string_view text);
  /// Ends the stream and returns the text that was held back.
  std::string flush();
  bool stopped() const { return found; }

private:
  std::vector<std::string> stops;
  std::string held;
  bool found = false;
};

/// Converts tokens to text with a StreamDecoder and a StopMatcher. Without a tokenizer all text is empty.
class TextStream {
public:
  TextStream(const std::optional<Tokenizer> &tokenizer, const std::vector<std::string> &stops);
  std::string push(TokenId id);
  /// Ends the stream. Returns the remaining text, which is empty after a stop text.
  std::string flush();
  bool stopped() const { return matcher.stopped(); }

private:
  std::optional<StreamDecoder> decoder;
  StopMatcher matcher;
};

} // namespace linnet
