// Splits text into words as a tokenizer.json describes it.
#include "tokenizer/pattern.h"

#include <algorithm>

namespace linnet {

PreTokenizer::PreTokenizer(const Stages &s, std::deque<std::string> &a) : stages(s), arena(a) {}

Result<void> PreTokenizer::run(size_t step, std::string_view text, bool at_start, WordSink &sink) {
  if (text.empty()) return {};
  if (step == stages.pre.size()) return sink.addWord(text);
  const PreTokenizerStep &its = stages.pre[step];
  switch (its.kind) {
  case PreTokenizerStep::Kind::Split:
    return runSplit(step, text, at_start, sink);
  case PreTokenizerStep::Kind::Metaspace:
    return runMetaspace(step, text, at_start, sink);
  case PreTokenizerStep::Kind::ByteLevel:
    if (its.add_prefix_space && text.front() != ' ') {
      arena.emplace_back(1, ' ').append(text);
      text = arena.back();
    }
    return its.use_regex ? sink.addGpt2Text(text) : sink.addWord(text);
  }
  return {};
}

Result<void> PreTokenizer::runSplit(size_t step, std::string_view text, bool at_start, WordSink &sink) {
  const PreTokenizerStep &its = stages.pre[step];
  if (its.behavior == SplitBehavior::Isolated || its.behavior == SplitBehavior::Removed)
    return forEachPart(its.pattern, text, [&](size_t begin, size_t end, bool match) -> Result<void> {
      if (its.behavior == SplitBehavior::Removed && match != its.invert) return {};
      return run(step + 1, text.substr(begin, end - begin), at_start && begin == 0, sink);
    });
  std::vector<Part> parts;
  LINNET_TRY(forEachPart(its.pattern, text, [&](size_t begin, size_t end, bool match) -> Result<void> {
    parts.push_back({begin, end, match != its.invert});
    return {};
  }));
  return runParts(step, text, at_start, std::move(parts), sink);
}

// Joins parts as the step's behavior says, and goes on with each.
Result<void> PreTokenizer::runParts(size_t step, std::string_view text, bool at_start,
                                    std::vector<Part> parts, WordSink &sink) {
  SplitBehavior behavior = stages.pre[step].behavior;
  std::vector<Part> joined;
  if (behavior == SplitBehavior::MergedWithNext) std::reverse(parts.begin(), parts.end());
  bool match_before = false;
  for (const Part &part : parts) {
    bool joins =
        behavior == SplitBehavior::Contiguous ? part.match == match_before : part.match && !match_before;
    match_before = part.match;
    if (joins && !joined.empty()) {
      joined.back().begin = std::min(joined.back().begin, part.begin);
      joined.back().end = std::max(joined.back().end, part.end);
    } else {
      joined.push_back(part);
    }
  }
  if (behavior == SplitBehavior::MergedWithNext) std::reverse(joined.begin(), joined.end());
  for (const Part &part : joined)
    LINNET_TRY(
        run(step + 1, text.substr(part.begin, part.end - part.begin), at_start && part.begin == 0, sink));
  return {};
}

Result<void> PreTokenizer::runMetaspace(size_t step, std::string_view text, bool at_start, WordSink &sink) {
  const PreTokenizerStep &its = stages.pre[step];
  std::string &out = arena.emplace_back();
  bool begins = text.starts_with(its.replacement) || text.front() == ' ';
  bool prepends = its.scheme == PrependScheme::Always || (its.scheme == PrependScheme::First && at_start);
  if (prepends && !begins) out = its.replacement;
  for (char c : text) {
    if (c == ' ')
      out += its.replacement;
    else
      out += c;
  }
  if (!its.splits) return run(step + 1, out, at_start, sink);
  // Each replacement begins a word.
  std::string_view all = out;
  for (size_t begin = 0; begin < all.size();) {
    size_t end = std::min(all.find(its.replacement, begin + 1), all.size());
    LINNET_TRY(run(step + 1, all.substr(begin, end - begin), at_start && begin == 0, sink));
    begin = end;
  }
  return {};
}

} // namespace linnet
