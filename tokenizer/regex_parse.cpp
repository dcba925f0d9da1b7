// Parses a regular expression.
#include "tokenizer/regex_compile.h"
#include "tokenizer/unicode.h"

#include <algorithm>

namespace linnet {
namespace {
constexpr int kMaxGroupDepth = 32;
constexpr uint32_t kMaxRepeat = 1000;
} // namespace

Result<RegexNode> RegexCompiler::alternation(int depth, bool any_case) {
  if (depth > kMaxGroupDepth)
    return errorf("regular expression: groups nested deeper than {} levels", kMaxGroupDepth);
  RegexNode node;
  node.kind = RegexNode::Kind::Alternation;
  do {
    LINNET_ASSIGN(RegexNode branch, sequence(depth, any_case));
    node.children.push_back(std::move(branch));
  } while (next("|"));
  if (node.children.size() == 1) return RegexNode(std::move(node.children.front()));
  return node;
}

Result<RegexNode> RegexCompiler::sequence(int depth, bool any_case) {
  RegexNode node;
  while (at < pattern.size() && pattern[at] != '|' && pattern[at] != ')') {
    size_t where = at;
    LINNET_ASSIGN(RegexNode child, atom(depth, any_case));
    // Oniguruma also folds these pairs of letters with single characters, such as U+00DF.
    if (!node.children.empty() && child.letter && node.children.back().letter)
      for (std::string_view pair : {"ss", "ff", "fi", "fl", "st"})
        if (node.children.back().letter == pair[0] && child.letter == pair[1])
          return unsupported(fmt::format("(?i:..) with \"{}\"", pair), where);
    LINNET_TRY(quantifier(child));
    node.children.push_back(std::move(child));
  }
  if (node.children.size() == 1) return RegexNode(std::move(node.children.front()));
  return node;
}

Result<RegexNode> RegexCompiler::atom(int depth, bool any_case) {
  size_t begin = at;
  char c = pattern[at];
  if (c == '(') return group(depth, any_case);
  if (c == '^' || c == '$') return unsupported(fmt::format("the anchor \"{}\"", c), begin);
  if (c == '*' || c == '+' || c == '?') return fault(fmt::format("\"{}\" repeats nothing", c), begin);
  RegexNode node;
  node.kind = RegexNode::Kind::Set;
  CharSet set;
  if (c == '[') {
    ++at;
    LINNET_ASSIGN(set, charClass(any_case));
  } else if (c == '.') {
    ++at;
    set.add('\n', '\n');
    set.invert();
  } else {
    std::optional<uint32_t> character;
    if (c == '\\') {
      LINNET_ASSIGN(character, escape(set, any_case));
    } else {
      character = unicode::next(pattern.data(), at);
    }
    if (character) {
      LINNET_ASSIGN(set, literal(*character, any_case, begin));
      uint32_t lower = *character | 0x20;
      if (any_case && lower >= 'a' && lower <= 'z') node.letter = static_cast<char>(lower);
    }
  }
  node.set = addSet(std::move(set));
  return node;
}

Result<CharSet> RegexCompiler::literal(uint32_t c, bool any_case, size_t where) {
  CharSet set;
  set.add(c, c);
  if (any_case && c >= 128) return unsupported("(?i:..) around a character outside ASCII", where);
  if (any_case) set.addOtherCase();
  return set;
}

Result<RegexNode> RegexCompiler::group(int depth, bool any_case) {
  size_t begin = at++;
  RegexNode node;
  bool wraps = true; // whether the group is a node of its own
  if (next("?=") || next("?!")) {
    node.kind = RegexNode::Kind::Look;
    node.negative = pattern[at - 1] == '!';
  } else if (next("?>")) {
    node.kind = RegexNode::Kind::Atomic;
  } else if (next("?:")) {
    wraps = false;
  } else if (next("?i:")) {
    wraps = false, any_case = true;
  } else if (next("?-i:")) {
    wraps = false, any_case = false;
  } else if (pattern.substr(at, 1) == "?") {
    for (auto [start, name] :
         {std::pair("?<=", "lookbehind (?<=..)"), std::pair("?<!", "lookbehind (?<!..)"),
          std::pair("?<", "the named group (?<..>)"), std::pair("?#", "the comment (?#..)")})
      if (pattern.substr(at).starts_with(start)) return unsupported(name, begin);
    return unsupported(
        fmt::format("the group \"({}\"", pattern.substr(at, std::min<size_t>(3, pattern.size() - at))),
        begin);
  } else {
    wraps = false; // nothing refers to what it captures
  }
  LINNET_ASSIGN(RegexNode inner, alternation(depth + 1, any_case));
  if (!next(")")) return fault("\"(\" without \")\"", begin);
  inner.letter = 0;
  if (!wraps) return inner;
  node.children.push_back(std::move(inner));
  return node;
}

// {n}, {n,}, {,m} or {n,m} at `at`. False: the brace is a literal.
bool RegexCompiler::interval(uint32_t &min, uint32_t &max) {
  size_t i = at + 1;
  auto number = [&](std::optional<uint32_t> &value) {
    for (; i < pattern.size() && pattern[i] >= '0' && pattern[i] <= '9'; ++i)
      value = std::min<uint32_t>(value.value_or(0) * 10 + static_cast<uint32_t>(pattern[i] - '0'),
                                 kMaxRepeat + 1);
  };
  std::optional<uint32_t> low, high;
  number(low);
  bool comma = i < pattern.size() && pattern[i] == ',';
  if (comma) ++i, number(high);
  if (i >= pattern.size() || pattern[i] != '}' || (!low && !high)) return false;
  min = low.value_or(0);
  max = comma ? high.value_or(Regex::kUnlimited) : min;
  at = i + 1;
  return true;
}

Result<void> RegexCompiler::quantifier(RegexNode &node) {
  if (at >= pattern.size()) return {};
  size_t begin = at;
  char c = pattern[at];
  uint32_t min = 0, max = 0;
  bool braces = c == '{' && interval(min, max);
  if (c == '?' || c == '*' || c == '+') {
    ++at;
    min = c == '+';
    max = c == '?' ? 1 : Regex::kUnlimited;
  } else if (!braces) {
    return {};
  }
  if (min > kMaxRepeat || (max > kMaxRepeat && max != Regex::kUnlimited))
    return errorf("regular expression: more than {} repetitions at byte {} are not supported", kMaxRepeat,
                  begin);
  if (max < min) return unsupported("an interval whose first number is the larger one", begin);
  RegexNode repeat;
  repeat.kind = RegexNode::Kind::Repeat;
  repeat.min = min, repeat.max = max;
  if (braces && at < pattern.size() && (pattern[at] == '+' || (pattern[at] == '?' && min == max)))
    return unsupported(fmt::format("\"{}\" after an interval", pattern[at]), at);
  if (next("?"))
    repeat.mode = Regex::Mode::Lazy;
  else if (next("+"))
    repeat.mode = Regex::Mode::Possessive;
  if (at < pattern.size() && (pattern[at] == '*' || pattern[at] == '+' || pattern[at] == '?'))
    return unsupported("a quantifier after a quantifier", at);
  if (node.kind == RegexNode::Kind::Look) return unsupported("a repeated lookahead", begin);
  if (node.kind != RegexNode::Kind::Set && firstOf(node).nullable)
    return unsupported("the repetition of a group that matches the empty string", begin);
  repeat.children.push_back(std::move(node));
  node = std::move(repeat);
  return {};
}

Result<uint32_t> RegexCompiler::codePoint(size_t digits, size_t begin) {
  uint32_t value = 0;
  size_t n = 0;
  for (; n < digits && at < pattern.size(); ++n, ++at) {
    char c = pattern[at];
    if (c >= '0' && c <= '9')
      value = value * 16 + static_cast<uint32_t>(c - '0');
    else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
      value = value * 16 + static_cast<uint32_t>((c | 0x20) - 'a' + 10);
    else
      break;
  }
  if (!n || value > 0x10FFFF) return fault("an escape that is not a code point", begin);
  return value;
}

Result<void> RegexCompiler::property(CharSet &set, bool negative, bool any_case, size_t begin) {
  size_t end = pattern.find('}', at);
  if (!next("{") || end == std::string_view::npos) return fault("\\p without {..}", begin);
  if (next("^")) negative = !negative;
  std::string_view name = pattern.substr(at, end - at);
  at = end + 1;
  CharSet category;
  if (!category.addCategory(name))
    return unsupported(fmt::format("the property \"{}\"", name.substr(0, 40)), begin);
  if (any_case && (name == "Lu" || name == "Ll" || name == "Lt"))
    return unsupported("(?i:..) around a property of case", begin);
  if (negative) category.invert();
  set.add(category);
  return {};
}

// Reads an escape. Gives the character, or adds a class to `set` and gives nothing.
Result<std::optional<uint32_t>> RegexCompiler::escape(CharSet &set, bool any_case) {
  size_t begin = at++;
  if (at >= pattern.size()) return fault("\"\\\" at the end", begin);
  uint32_t c = unicode::next(pattern.data(), at);
  using Character = std::optional<uint32_t>;
  CharSet its;
  switch (c) {
  case 'n':
    return Character('\n');
  case 'r':
    return Character('\r');
  case 't':
    return Character('\t');
  case 'f':
    return Character('\f');
  case 'v':
    return Character('\v');
  case 's':
  case 'S':
    its.addSpace();
    break;
  case 'd':
  case 'D':
    its.addDigit();
    break;
  case 'w':
  case 'W':
    its.addWord();
    break;
  case 'p':
  case 'P':
    LINNET_TRY(property(set, c == 'P', any_case, begin));
    return Character();
  case 'u': {
    LINNET_ASSIGN(uint32_t value, codePoint(4, begin));
    return Character(value);
  }
  case 'x': {
    bool braces = next("{");
    LINNET_ASSIGN(uint32_t value, codePoint(braces ? 6 : 2, begin));
    if (braces && !next("}")) return fault("\\x{ without }", begin);
    if (!braces && value >= 128) return unsupported("\\x of a byte outside ASCII", begin);
    return Character(value);
  }
  default:
    bool letter = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c >= 128;
    if (letter) return unsupported(fmt::format("\"{}\"", pattern.substr(begin, at - begin)), begin);
    return Character(c);
  }
  if (c == 'S' || c == 'D' || c == 'W') its.invert();
  set.add(its);
  return Character();
}

// Reads a class after its "[".
Result<CharSet> RegexCompiler::charClass(bool any_case) {
  size_t begin = at - 1;
  bool negative = next("^");
  CharSet set;
  if (at < pattern.size() && pattern[at] == ']') return unsupported("\"]\" at the start of a class", at);
  for (;;) {
    if (at >= pattern.size()) return fault("\"[\" without \"]\"", begin);
    size_t where = at;
    if (next("]")) break;
    if (pattern[at] == '[') return unsupported("a class inside of a class", at);
    if (pattern.substr(at, 2) == "&&") return unsupported("the intersection &&", at);
    std::optional<uint32_t> first;
    if (pattern[at] == '\\') {
      LINNET_ASSIGN(first, escape(set, any_case));
    } else {
      first = unicode::next(pattern.data(), at);
    }
    if (!first) continue;
    uint32_t last = *first;
    if (pattern.substr(at, 1) == "-" && at + 1 < pattern.size() && pattern[at + 1] != ']') {
      ++at;
      std::optional<uint32_t> end;
      if (pattern[at] == '\\') {
        CharSet ignored;
        LINNET_ASSIGN(end, escape(ignored, any_case));
      } else if (pattern[at] != '[') {
        end = unicode::next(pattern.data(), at);
      }
      if (!end || *end < *first)
        return unsupported("a range that does not end with a larger character", where);
      last = *end;
    }
    if (any_case && last >= 128) return unsupported("(?i:..) around a character outside ASCII", where);
    set.add(*first, last);
  }
  if (any_case) set.addOtherCase();
  if (negative) set.invert();
  return set;
}

} // namespace linnet
