// Text of tokens that come one at a time, cut at the first stop text.
#pragma once
#include "tokenizer/tokenizer.h"

#include <string>
#include <string_view>
#include <vector>

namespace linnet {

/// Finds the first of several texts in a stream, holding back what may be the beginning of one.
class StopMatcher {
public:
  explicit StopMatcher(std::vector<std::string> stops) : stops(std::move(stops)) {}
  /// Text that may be shown now: what came before the stop text, if `stopped()` is true afterwards.
  std::string push(std::string_view text);
  /// The end: what was held back, as no stop text came.
  std::string flush();
  bool stopped() const { return found; }

private:
  std::vector<std::string> stops;
  std::string held;
  bool found = false;
};

/// Tokens to text through both. Without a tokenizer all text is empty.
class TextStream {
public:
  TextStream(const std::optional<Tokenizer> &tokenizer, const std::vector<std::string> &stops);
  std::string push(TokenId id);
  /// The end; gives nothing after a stop text.
  std::string flush();
  bool stopped() const { return matcher.stopped(); }

private:
  std::optional<StreamDecoder> decoder;
  StopMatcher matcher;
};

} // namespace linnet
