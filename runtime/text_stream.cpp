#include "runtime/text_stream.h"

#include <algorithm>

namespace linnet {
namespace {

// Length of the longest suffix of `text` that is a proper prefix of `stop`.
size_t overlap(std::string_view text, std::string_view stop) {
  for (size_t n = std::min(text.size(), stop.size() - 1); n > 0; --n)
    if (text.ends_with(stop.substr(0, n))) return n;
  return 0;
}

} // namespace

std::string StopMatcher::push(std::string_view text) {
  if (found) return {};
  held += text;
  size_t first = std::string::npos, hold = 0;
  for (const std::string &stop : stops) {
    first = std::min(first, held.find(stop));
    hold = std::max(hold, overlap(held, stop));
  }
  found = first != std::string::npos;
  size_t shown = found ? first : held.size() - hold;
  std::string out = held.substr(0, shown);
  if (found)
    held.clear();
  else
    held.erase(0, shown);
  return out;
}

std::string StopMatcher::flush() { return std::exchange(held, {}); }

TextStream::TextStream(const std::optional<Tokenizer> &tokenizer, const std::vector<std::string> &stops)
    : matcher(stops) {
  if (tokenizer) decoder.emplace(*tokenizer);
}

std::string TextStream::push(TokenId id) { return decoder ? matcher.push(decoder->push(id)) : std::string(); }

std::string TextStream::flush() {
  if (!decoder || stopped()) return {};
  std::string out = matcher.push(decoder->flush());
  return stopped() ? out : out + matcher.flush();
}

} // namespace linnet
