// Parses a regular expression to a tree, and compiles it to instructions.
#pragma once
#include "support/error.h"
#include "tokenizer/regex.h"

#include <optional>

namespace linnet {

struct RegexNode {
  enum class Kind : uint8_t { Set, Sequence, Alternation, Repeat, Look, Atomic } kind = Kind::Sequence;
  uint32_t set = 0;
  std::vector<RegexNode> children;
  uint32_t min = 0, max = 0;
  Regex::Mode mode = Regex::Mode::Greedy;
  bool negative = false;
  char letter = 0; // of a set that (?i:..) made of this lower-case letter
};

class RegexCompiler {
public:
  explicit RegexCompiler(std::string_view p) : pattern(p) {}

  /// Matches one character of a set.
  static Regex ofSet(CharSet set);
  Result<Regex> compile();

private:
  Error fault(std::string_view what, size_t where) const {
    return errorf("regular expression: {} at byte {}", what, where);
  }
  Error unsupported(std::string_view what, size_t where) const {
    return errorf("regular expression: {} at byte {} is not supported", what, where);
  }
  bool next(std::string_view expected) {
    if (pattern.substr(at, expected.size()) != expected) return false;
    return at += expected.size(), true;
  }
  uint32_t addSet(CharSet set) {
    regex.sets.push_back(std::move(set));
    return static_cast<uint32_t>(regex.sets.size() - 1);
  }

  Result<RegexNode> alternation(int depth, bool any_case);
  Result<RegexNode> sequence(int depth, bool any_case);
  Result<RegexNode> atom(int depth, bool any_case);
  Result<RegexNode> group(int depth, bool any_case);
  Result<void> quantifier(RegexNode &node);
  bool interval(uint32_t &min, uint32_t &max);
  Result<CharSet> charClass(bool any_case);
  Result<uint32_t> classEnd(std::optional<uint32_t> &character, CharSet &set, bool any_case);
  Result<std::optional<uint32_t>> escape(CharSet &set, bool any_case);
  Result<void> property(CharSet &set, bool negative, bool any_case, size_t begin);
  Result<uint32_t> codePoint(size_t digits, size_t begin);
  Result<CharSet> literal(uint32_t c, bool any_case, size_t where);
  Regex::First firstOf(const RegexNode &node) const;
  Result<void> emit(const RegexNode &node);
  Result<void> emitRepeat(const RegexNode &node);
  Result<void> emitAlternation(const RegexNode &node);
  uint32_t here() const { return static_cast<uint32_t>(regex.program.size()); }

  std::string_view pattern;
  size_t at = 0;
  Regex regex;
};

} // namespace linnet
