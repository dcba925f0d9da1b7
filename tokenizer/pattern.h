// Calls a function for the matches of a pattern and for the text between them.
#pragma once
#include "tokenizer/stages.h"

namespace linnet {

/// Calls visit(begin, end, is_match) for the parts of `text` in order; they cover it and none is empty.
/// `visit` returns a Result<void>.
template <class Visit>
Result<void> forEachPart(const TextPattern &pattern, std::string_view text, Visit visit) {
  size_t done = 0;
  std::optional<RegexMatcher> matcher;
  if (pattern.regex) matcher.emplace(*pattern.regex).start(text);
  while (done < text.size()) {
    size_t begin = text.size(), end = text.size();
    bool found;
    if (matcher) {
      LINNET_ASSIGN(found, matcher->find(done, begin, end));
    } else {
      begin = pattern.text.empty() ? std::string_view::npos : text.find(pattern.text, done);
      found = begin != std::string_view::npos;
      if (found) end = begin + pattern.text.size();
    }
    if (!found) return visit(done, text.size(), false);
    if (begin > done) LINNET_TRY(visit(done, begin, false));
    LINNET_TRY(visit(begin, end, true));
    done = end;
  }
  return {};
}

} // namespace linnet
