// Regular expressions: what they match, what is refused, and the bound on the work.
#include "tests/catch.h"
#include "tests/tokenizer/common.h"
#include "tokenizer/regex.h"

using namespace linnet;

namespace {

/// The matches of a pattern in a text, in brackets.
std::string matches(std::string_view pattern, std::string_view text) {
  Regex regex = test::take(Regex::compile(pattern));
  RegexMatcher matcher(regex);
  matcher.start(text);
  std::string out;
  size_t begin, end;
  for (size_t at = 0; test::take(matcher.find(at, begin, end)); at = end)
    out += '[' + std::string(text.substr(begin, end - begin)) + ']';
  return out;
}

std::string problem(std::string_view pattern) {
  auto regex = Regex::compile(pattern);
  return regex.ok() ? "accepted" : regex.error().message;
}

} // namespace

TEST_CASE("Regex: characters, classes and alternation") {
  CHECK(matches("ab|c", "abcacb") == "[ab][c][c]");
  CHECK(matches("[a-c]", "abxd-c") == "[a][b][c]");
  CHECK(matches("[^a-c\\s]", "ab x\nd") == "[x][d]");
  CHECK(matches("[a\\-z]", "a-mz") == "[a][-][z]");
  CHECK(matches("[ab-]", "a-c") == "[a][-]");
  CHECK(matches(".", "a\n\u00E9") == "[a][\u00E9]");
  CHECK(matches("\\x41|\\x{4e2d}|\\u00e9|\\.", "A\u4E2D\u00E9.x") == "[A][\u4E2D][\u00E9][.]");
  CHECK(matches("\\p{Lu}|\\p{N}|\\p{^L}", "aB1 ") == "[B][1][ ]");
  CHECK(matches("\\P{L}\\p{Letter}", "1a b") == "[1a][ b]");
  CHECK(matches("\\w\\W", "\u00B2\u200D") == "[\u00B2\u200D]"); // Oniguruma: numbers are word characters
  CHECK(matches("\\d\\D", "1\u0663x") == "[\u0663x]");
  CHECK(matches("\\s\\S", "\u3000x") == "[\u3000x]");
}

TEST_CASE("Regex: quantifiers") {
  CHECK(matches("a*b", "aaab") == "[aaab]");
  CHECK(matches("a{2}", "aaaaa") == "[aa][aa]");
  CHECK(matches("a{2,3}", "aaaaa") == "[aaa][aa]");
  CHECK(matches("a{,2}b", "aaab") == "[aab]");
  CHECK(matches("a{2,}", "aaaaa") == "[aaaaa]");
  CHECK(matches("a{x}", "a{x}") == "[a{x}]"); // not an interval
  CHECK(matches("a+?b?", "aab") == "[a][ab]");
  CHECK(matches("a{1,3}?b", "aaaab") == "[aaab]");
  CHECK(matches("x[ab]*+b|xa", "xab") == "[xa]");
  CHECK(matches("(?:ab)+a|ab", "ababab") == "[ababa]");
  CHECK(matches("(?:ab){2,3}?", "ababab") == "[abab]");
  CHECK(matches("(a|b){3}", "abab") == "[aba]");
  CHECK(matches("(?:ab)++c|ab", "ababd") == "[ab][ab]");
  CHECK(matches("[a\u00E9]+\u00E9", "a\u00E9\u00E9x") == "[a\u00E9\u00E9]"); // gives back whole characters
}

TEST_CASE("Regex: groups, lookahead and case") {
  CHECK(matches("\\s+(?!\\S)|\\s+", "a   b  ") == "[  ][ ][  ]");
  CHECK(matches("a(?=b)", "abac") == "[a]");
  CHECK(matches("a(?=b|(?!x)c)", "abacax") == "[a][a]");
  CHECK(matches("(?>a+)b", "aab") == "[aab]");
  CHECK(matches("x(?>a+)ab|xa", "xaab") == "[xa]");
  CHECK(matches("(?i:'s|'LL)t", "'St'llt'\u017Ft'lLT") == "['St]['llt]['\u017Ft]");
  CHECK(matches("(?i:[sk])", "sK\u017F\u212Ax") == "[s][K][\u017F][\u212A]");
  CHECK(matches("(?i:a(?-i:b))", "AbAB") == "[Ab]");
}

TEST_CASE("Regex: what is not supported is named with its place") {
  auto says = [](std::string_view pattern, const char *what) {
    CAPTURE(pattern);
    CHECK_THAT(problem(pattern), Catch::Contains(what));
  };
  says("ab(?<=x)", "lookbehind (?<=..) at byte 2 is not supported");
  says("(?<!x)a", "lookbehind (?<!..) at byte 0");
  says("(?<n>x)", "named group");
  says("a\\b", "\"\\b\" at byte 1 is not supported");
  says("(a)\\1", "\"\\1\" at byte 3");
  says("^a", "the anchor \"^\" at byte 0");
  says("a$", "the anchor \"$\" at byte 1");
  says("[[:alpha:]]", "a class inside of a class at byte 1");
  says("[a&&b]", "the intersection && at byte 2");
  says("[]a]", "\"]\" at the start of a class at byte 1");
  says("[b-a]", "a range that does not end with a larger character at byte 1");
  says("[a", "\"[\" without \"]\" at byte 0");
  says("(a", "\"(\" without \")\" at byte 0");
  says("a)", "\")\" without \"(\" at byte 1");
  says("\\p{Han}", "the property \"Han\" at byte 0 is not supported");
  says("\\pL", "\\p without {..} at byte 0");
  says("*a", "\"*\" repeats nothing at byte 0");
  says("a**", "a quantifier after a quantifier at byte 2");
  says("a{2}?", "\"?\" after an interval at byte 4");
  says("a{2,3}+", "\"+\" after an interval");
  says("a{3,2}", "an interval whose first number is the larger one");
  says("a{1001}", "more than 1000 repetitions at byte 1");
  says("(?:a*)*b", "the repetition of a group that matches the empty string at byte 6");
  says("(?=a)*b", "a repeated lookahead");
  says("(?i:\u00E9)", "(?i:..) around a character outside ASCII at byte 4");
  says("(?i:ss)", "(?i:..) with \"ss\" at byte 5");
  says("(?i:\\p{Lu})", "a property of case");
  says("(?x:a)", "the group \"(?x:\" at byte 0");
  says("a*", "matches the empty string");
  says("\\", "\"\\\" at the end at byte 0");
  says("\\x{110000}", "not a code point");
  says(std::string(5000, 'a'), "at most 4096 bytes");
  says(std::string(40, '(') + "a" + std::string(40, ')'), "nested deeper than 32");
  says("((((a{99}){99}){99}){99})", "too long");
  says("\xFF", "not UTF-8");
}

TEST_CASE("Regex: work is linear in the text, or an error") {
  std::string many(20000, 'a');
  Regex nested = test::take(Regex::compile("(?:a+)+b"));
  RegexMatcher matcher(nested);
  matcher.start(many);
  size_t begin, end;
  auto found = matcher.find(0, begin, end);
  REQUIRE_FALSE(found.ok());
  CHECK_THAT(found.error().message, Catch::Contains("needs more than 256 steps for each byte"));
  // Known patterns on runs that make them go back.
  for (const char *text : {" ", "A", "\n ", "'", "1", "\u0301", "a\u0301", "\u3000"}) {
    std::string run;
    for (int i = 0; i < 20000; ++i) run += text;
    CAPTURE(text);
    CHECK(matches("[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{M}]*[\\p{Ll}\\p{M}]+|[^\\r\\n\\p{L}\\p{N}]?[\\p{"
                  "Lu}\\p{M}]+|"
                  "\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
                  run)
              .size() > run.size());
  }
}
