// Regular expressions of pre-tokenizers and normalizers, with Oniguruma's meaning, on well-formed UTF-8.
//
// Supported: alternation, groups, (?i:..) for ASCII, (?=..), (?!..), (?>..), classes, \s \S \d \D \w \W, \p{..} of
// general categories, escapes of characters, and quantifiers that are greedy, lazy or possessive. Everything else
// is an error that names the construct and its place, and so is an expression that matches the empty string.
//
// The matcher backtracks. Its work on a text is bounded: after kStepsPerByte steps for each byte, matching ends
// with an error. The expressions of known tokenizers need fewer than ten.
#pragma once
#include "tokenizer/char_set.h"
#include <string>

namespace linnet {

class Regex {
public:
  /// Errors do not repeat the whole pattern.
  static Result<Regex> compile(std::string_view pattern);
  /// Matches one character of a set.
  static Regex ofSet(CharSet set);

  enum class Mode : uint8_t { Greedy, Lazy, Possessive };
  enum class Op : uint8_t {
    Set,    // one character of set `a`
    Loop,   // min to max characters of set `a`
    Split,  // tries the next instruction, then `a`; skips the next one if its first character cannot match
    Jump,   // to `a`
    Look,   // the instructions after this one up to `a` must match here (or not: `negative`)
    Atomic, // the same, and goes on after their match
    Match,
  };
  struct Instruction {
    Op op;
    Mode mode = Mode::Greedy;
    bool negative = false;
    uint32_t a = 0, min = 0, max = 0;
    uint32_t guard = kNoGuard; // of Split: index of the first characters of the next instruction
  };
  static constexpr uint32_t kNoGuard = 0xFFFFFFFF, kUnlimited = 0xFFFFFFFF;

  /// The first characters that a part of the expression can match.
  struct First {
    std::array<uint64_t, 2> ascii{};
    bool other = false; // any character outside ASCII
    bool nullable = false;
    bool has(unsigned char byte) const { return byte < 128 ? ascii[byte >> 6] >> (byte & 63) & 1 : other; }
  };

private:
  friend class RegexMatcher;
  friend class RegexCompiler;
  std::vector<Instruction> program;
  std::vector<CharSet> sets;
  std::vector<First> guards;
  First first;
};

/// Searches one text. Reusable for the next text after start().
class RegexMatcher {
public:
  explicit RegexMatcher(const Regex &r) : regex(&r) {}
  void start(std::string_view its_text);
  /// The first match that begins at `from` or later: sets begin and end. False: there is none.
  Result<bool> find(size_t from, size_t &begin, size_t &end);

private:
  static constexpr uint64_t kStepsPerByte = 256, kMoreSteps = 4096;
  static constexpr size_t kNone = static_cast<size_t>(-1);
  struct Frame {
    uint32_t pc;
    size_t at;
    bool in_loop = false;
    size_t limit = 0; // of a greedy loop: the least end; of a lazy one: characters that it may still take
  };
  size_t run(uint32_t pc, size_t at);
  bool loop(uint32_t pc, size_t &at);
  bool backtrack(size_t base, uint32_t &pc, size_t &at);
  bool matches(uint32_t set, size_t &at) const;

  const Regex *regex;
  std::string_view text;
  std::vector<Frame> frames;
  uint64_t steps = 0, step_limit = 0;
};

} // namespace linnet
