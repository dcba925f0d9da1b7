// Compiles the tree of a regular expression to instructions.
#include "tokenizer/regex_compile.h"
#include "tokenizer/unicode.h"

namespace linnet {
namespace {
constexpr size_t kMaxInstructions = 20000;
constexpr size_t kMaxPattern = 4096;
} // namespace

Regex RegexCompiler::ofSet(CharSet set) {
  RegexCompiler compiler("");
  RegexNode node;
  node.kind = RegexNode::Kind::Set;
  node.set = compiler.addSet(std::move(set));
  compiler.regex.first = compiler.firstOf(node);
  compiler.regex.program = {{Regex::Op::Set, Regex::Mode::Greedy, false, node.set}, {Regex::Op::Match}};
  compiler.regex.sets.front().finish();
  return std::move(compiler.regex);
}

Result<Regex> RegexCompiler::compile() {
  if (pattern.size() > kMaxPattern)
    return errorf("regular expression: expected at most {} bytes, found {}", kMaxPattern, pattern.size());
  if (!unicode::isValid(pattern)) return Error{"the regular expression is not UTF-8"};
  LINNET_ASSIGN(RegexNode root, alternation(0, false));
  if (at < pattern.size()) return fault("\")\" without \"(\"", at);
  regex.first = firstOf(root);
  if (regex.first.nullable)
    return Error{"a regular expression that matches the empty string is not supported"};
  LINNET_TRY(emit(root));
  regex.program.push_back({Regex::Op::Match});
  for (CharSet &set : regex.sets) set.finish();
  return std::move(regex);
}

Regex::First RegexCompiler::firstOf(const RegexNode &node) const {
  Regex::First first;
  auto unite = [&](const Regex::First &other) {
    for (size_t i = 0; i < first.ascii.size(); ++i) first.ascii[i] |= other.ascii[i];
    first.other |= other.other;
  };
  switch (node.kind) {
  case RegexNode::Kind::Set: {
    CharSet set = regex.sets[node.set];
    set.finish();
    for (uint32_t c = 0; c < 128; ++c)
      if (set.contains(c)) first.ascii[c >> 6] |= uint64_t(1) << (c & 63);
    first.other = set.containsAbove(128);
    return first;
  }
  case RegexNode::Kind::Sequence:
    first.nullable = true;
    for (const RegexNode &child : node.children) {
      Regex::First next = firstOf(child);
      unite(next);
      if (next.nullable) continue;
      first.nullable = false;
      break;
    }
    return first;
  case RegexNode::Kind::Alternation:
    for (const RegexNode &child : node.children) {
      Regex::First next = firstOf(child);
      unite(next);
      first.nullable |= next.nullable;
    }
    return first;
  case RegexNode::Kind::Repeat:
    first = firstOf(node.children.front());
    first.nullable |= node.min == 0;
    return first;
  case RegexNode::Kind::Look:
    first.nullable = true;
    return first;
  case RegexNode::Kind::Atomic:
    return firstOf(node.children.front());
  }
  return first;
}

Result<void> RegexCompiler::emit(const RegexNode &node) {
  if (regex.program.size() > kMaxInstructions) return Error{"regular expression: too long"};
  switch (node.kind) {
  case RegexNode::Kind::Set:
    regex.program.push_back({Regex::Op::Set, Regex::Mode::Greedy, false, node.set});
    return {};
  case RegexNode::Kind::Sequence:
    for (const RegexNode &child : node.children) LINNET_TRY(emit(child));
    return {};
  case RegexNode::Kind::Alternation:
    return emitAlternation(node);
  case RegexNode::Kind::Repeat:
    return emitRepeat(node);
  case RegexNode::Kind::Look:
  case RegexNode::Kind::Atomic: {
    uint32_t begin = here();
    bool look = node.kind == RegexNode::Kind::Look;
    regex.program.push_back({look ? Regex::Op::Look : Regex::Op::Atomic, Regex::Mode::Greedy, node.negative});
    LINNET_TRY(emit(node.children.front()));
    regex.program.push_back({Regex::Op::Match});
    regex.program[begin].a = here();
    return {};
  }
  }
  return {};
}

Result<void> RegexCompiler::emitAlternation(const RegexNode &node) {
  std::vector<uint32_t> jumps;
  for (size_t i = 0; i < node.children.size(); ++i) {
    bool last = i + 1 == node.children.size();
    uint32_t split = here();
    if (!last) {
      regex.program.push_back({Regex::Op::Split});
      if (Regex::First first = firstOf(node.children[i]); !first.nullable) {
        regex.program[split].guard = static_cast<uint32_t>(regex.guards.size());
        regex.guards.push_back(first);
      }
    }
    LINNET_TRY(emit(node.children[i]));
    if (last) break;
    jumps.push_back(here());
    regex.program.push_back({Regex::Op::Jump});
    regex.program[split].a = here();
  }
  for (uint32_t jump : jumps) regex.program[jump].a = here();
  return {};
}

Result<void> RegexCompiler::emitRepeat(const RegexNode &node) {
  const RegexNode &child = node.children.front();
  if (child.kind == RegexNode::Kind::Set) {
    regex.program.push_back({Regex::Op::Loop, node.mode, false, child.set, node.min, node.max});
    return {};
  }
  if (node.mode == Regex::Mode::Possessive) {
    RegexNode greedy = node, atomic;
    greedy.mode = Regex::Mode::Greedy;
    atomic.kind = RegexNode::Kind::Atomic;
    atomic.children.push_back(std::move(greedy));
    return emit(atomic);
  }
  for (uint32_t i = 0; i < node.min; ++i) LINNET_TRY(emit(child));
  if (node.max == Regex::kUnlimited) {
    uint32_t split = here();
    regex.program.push_back({Regex::Op::Split, node.mode});
    LINNET_TRY(emit(child));
    regex.program.push_back({Regex::Op::Jump, Regex::Mode::Greedy, false, split});
    regex.program[split].a = here();
    return {};
  }
  std::vector<uint32_t> splits;
  for (uint32_t i = node.min; i < node.max; ++i) {
    splits.push_back(here());
    regex.program.push_back({Regex::Op::Split, node.mode});
    LINNET_TRY(emit(child));
  }
  for (uint32_t split : splits) regex.program[split].a = here();
  return {};
}

Regex Regex::ofSet(CharSet set) { return RegexCompiler::ofSet(std::move(set)); }

Result<Regex> Regex::compile(std::string_view pattern) { return RegexCompiler(pattern).compile(); }

} // namespace linnet
