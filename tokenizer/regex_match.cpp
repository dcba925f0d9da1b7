// The backtracking matcher. Set loops keep one frame, whatever their length.
#include "support/error.h"
#include "tokenizer/regex.h"
#include "tokenizer/unicode.h"

namespace linnet {

void RegexMatcher::start(std::string_view its_text) {
  text = its_text;
  steps = 0;
  step_limit = kStepsPerByte * text.size() + kMoreSteps;
}

Result<bool> RegexMatcher::find(size_t from, size_t &begin, size_t &end) {
  for (size_t at = from; at < text.size();) {
    if (regex->first.has(static_cast<unsigned char>(text[at]))) {
      frames.clear();
      size_t stop = run(0, at);
      if (steps > step_limit)
        return errorf("the regular expression needs more than {} steps for each byte of the text, at byte {}",
                      kStepsPerByte, at);
      if (stop != kNone) return begin = at, end = stop, true;
    }
    unicode::next(text.data(), at);
  }
  return false;
}

inline bool RegexMatcher::matches(uint32_t set, size_t &at) const {
  if (at >= text.size()) return false;
  size_t next = at;
  if (!regex->sets[set].contains(unicode::next(text.data(), next))) return false;
  return at = next, true;
}

// Moves `at` over the characters that the loop takes first.
inline bool RegexMatcher::loop(uint32_t pc, size_t &at) {
  const Regex::Instruction &loop = regex->program[pc];
  size_t begin = at;
  uint32_t n = 0;
  while (n < loop.min && matches(loop.a, at)) ++n;
  if (n < loop.min) return steps += at - begin + 1, false;
  size_t least = at;
  if (loop.mode == Regex::Mode::Lazy) {
    if (loop.max > n) frames.push_back({pc, at, true, loop.max == Regex::kUnlimited ? kNone : loop.max - n});
  } else {
    while (n < loop.max && matches(loop.a, at)) ++n;
    bool returns = loop.mode == Regex::Mode::Greedy && at > least;
    if (returns && regex->program[pc + 1].op != Regex::Op::Match) frames.push_back({pc, at, true, least});
  }
  steps += at - begin + 1;
  return true;
}

// Goes back to the last choice above `base`. False: there is none.
bool RegexMatcher::backtrack(size_t base, uint32_t &pc, size_t &at) {
  while (frames.size() > base) {
    ++steps;
    Frame &frame = frames.back();
    const Regex::Instruction &instruction = regex->program[frame.pc];
    if (!frame.in_loop) {
      pc = frame.pc, at = frame.at;
      frames.pop_back();
      return true;
    }
    pc = frame.pc + 1;
    if (instruction.mode == Regex::Mode::Greedy) {
      do --frame.at;
      while ((static_cast<unsigned char>(text[frame.at]) & 0xC0) == 0x80);
      at = frame.at;
      if (frame.at <= frame.limit) frames.pop_back();
      return true;
    }
    if (matches(instruction.a, frame.at)) {
      at = frame.at;
      if (frame.limit != kNone && --frame.limit == 0) frames.pop_back();
      return true;
    }
    frames.pop_back();
  }
  return false;
}

// The end of the match of the instructions from `pc` at `at`, or kNone.
size_t RegexMatcher::run(uint32_t pc, size_t at) {
  const size_t base = frames.size();
  for (;;) {
    if (++steps > step_limit) return kNone;
    const Regex::Instruction &instruction = regex->program[pc];
    bool matched = true;
    switch (instruction.op) {
    case Regex::Op::Set:
      matched = matches(instruction.a, at);
      ++pc;
      break;
    case Regex::Op::Loop:
      matched = loop(pc, at);
      ++pc;
      break;
    case Regex::Op::Split:
      if (instruction.guard != Regex::kNoGuard &&
          (at >= text.size() ||
           !regex->guards[instruction.guard].has(static_cast<unsigned char>(text[at])))) {
        pc = instruction.a;
      } else if (instruction.mode == Regex::Mode::Lazy) {
        frames.push_back({pc + 1, at});
        pc = instruction.a;
      } else {
        frames.push_back({instruction.a, at});
        ++pc;
      }
      break;
    case Regex::Op::Jump:
      pc = instruction.a;
      break;
    case Regex::Op::Look:
      matched = (run(pc + 1, at) != kNone) != instruction.negative;
      pc = instruction.a;
      break;
    case Regex::Op::Atomic: {
      size_t end = run(pc + 1, at);
      matched = end != kNone;
      if (matched) at = end;
      pc = instruction.a;
      break;
    }
    case Regex::Op::Match:
      frames.resize(base);
      return at;
    }
    if (!matched && !backtrack(base, pc, at)) return kNone;
  }
}

} // namespace linnet
