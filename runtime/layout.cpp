#include "runtime/layout.h"

#include <charconv>

namespace linnet {
namespace {

bool eat(std::string_view &text, std::string_view word) {
  if (!text.starts_with(word)) return false;
  text.remove_prefix(word.size());
  return true;
}

bool eatNumber(std::string_view &text, int64_t &number) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number < 1 || number > 4096) return false;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return true;
}

} // namespace

std::optional<PanelLayout> parsePanelLayout(std::string_view text) {
  PanelLayout layout;
  if (!eat(text, "panel<") || !eatNumber(text, layout.k_block) || !eat(text, "x") ||
      !eatNumber(text, layout.n_block))
    return std::nullopt;
  while (eat(text, ",")) {
    eat(text, " ");
    if (eat(text, "transposed"))
      layout.transposed = true;
    else if (eat(text, "interleave = ")) {
      if (!eatNumber(text, layout.interleave)) return std::nullopt;
    } else
      return std::nullopt;
  }
  if (text != ">" || layout.k_block % layout.interleave) return std::nullopt;
  return layout;
}

} // namespace linnet
