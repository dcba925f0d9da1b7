// Errors with their position, and bounds for untrusted templates.
#include "chat/template.h"
#include "support/json.h"
#include "tests/catch.h"

using namespace linnet;

namespace {

std::string parseError(const std::string &source) {
  auto parsed = chat::Template::parse(source, "file");
  REQUIRE_FALSE(parsed.ok());
  return parsed.error().message;
}

std::string renderError(const std::string &source, const Json &variables = Json::object()) {
  auto parsed = chat::Template::parse(source, "file");
  if (!parsed) FAIL(parsed.error().message);
  auto text = parsed->render(variables);
  REQUIRE_FALSE(text.ok());
  return text.error().message;
}

std::string times(size_t count, const std::string &text) {
  std::string out;
  for (size_t i = 0; i < count; ++i) out += text;
  return out;
}

} // namespace

TEST_CASE("Chat templates: what is not supported is refused with line and column") {
  CHECK(parseError("a\n  {{ x | groupby('y') }}") ==
        "file: line 2, column 8: filter 'groupby' is not supported");
  CHECK(parseError("\u00e9\u00e9{{ x is filter }}") ==
        "file: line 1, column 8: test 'filter' is not supported");
  CHECK(parseError("{{ x.format(1) }}") == "file: line 1, column 5: method 'format' is not supported");
  CHECK(parseError("{% include 'x' %}") ==
        "file: line 1, column 4: statement 'include' is not supported here");
  CHECK(parseError("{% for x in y recursive %}{% endfor %}") ==
        "file: line 1, column 15: recursive loops are not supported");
  CHECK(parseError("{{ f(*x, *y) }}") == "file: line 1, column 5: '*' twice in a call");
  CHECK(parseError("{{ '%s' % x }}") ==
        "file: line 1, column 9: formatting of strings by '%' is not supported");
  CHECK(parseError("{{ x.__class__ }}") == "file: line 1, column 5: attribute '__class__' is not supported");
  CHECK(parseError("{% macro m() %}{{ varargs }}{% endmacro %}") ==
        "file: line 1, column 19: 'varargs' in a macro is not supported");
}

TEST_CASE("Chat templates: malformed templates are errors with line and column") {
  CHECK(parseError("{% if x %}\n") ==
        "file: line 1, column 4: expected 'endif' before the end of the template");
  CHECK(parseError("{{ x") == "file: line 1, column 1: expected '}}' before the end of the template");
  CHECK(parseError("{# x") == "file: line 1, column 1: expected '#}' before the end of the template");
  CHECK(parseError("{% raw %}x") ==
        "file: line 1, column 1: expected '{% endraw %}' before the end of the template");
  CHECK(parseError("{{ 'x }}") ==
        "file: line 1, column 4: expected the end of the string before the end of the template");
  CHECK(parseError("{{ (1 }}") == "file: line 1, column 7: expected ')', found '}'");
  CHECK(parseError("{{ 1 2 }}") == "file: line 1, column 6: expected '}}', found a number");
  CHECK(parseError("{{ }}") == "file: line 1, column 4: expected an expression, found '}}'");
  CHECK(parseError("{{ x ? y }}") == "file: line 1, column 6: unexpected character '?'");
  CHECK(parseError("{% endfor %}") == "file: line 1, column 4: statement 'endfor' is not supported here");
  CHECK(parseError("{% break %}") == "file: line 1, column 4: 'break' outside of a loop");
  CHECK(parseError("{{ 99999999999999999999 }}") == "file: line 1, column 4: a number that is too large");
  CHECK(parseError("{{ '\\ud800' }}") ==
        "file: line 1, column 5: '\\u': expected 4 hexadecimal digits of a character");
  CHECK(parseError("ab\xff") == "file: line 1, column 3: expected UTF-8, found an ill-formed byte");
}

TEST_CASE("Chat templates: errors of a rendering have a position") {
  CHECK(renderError("a\n{{ x.y }}") == "file: line 2, column 5: 'x' is undefined");
  CHECK(renderError("{{ x.y.z }}", {{"x", Json::object()}}) ==
        "file: line 1, column 7: a dict has no attribute 'y'");
  CHECK(renderError("{{ raise_exception('Roles must alternate') }}") ==
        "file: line 1, column 19: the template rejects the conversation: Roles must alternate");
  CHECK(renderError("{{ 'a' + 1 }}") == "file: line 1, column 8: '+' is not defined between str and int");
  CHECK(renderError("{{ [].append(1) }}") == "file: line 1, column 13: a list has no attribute 'append'");
}

TEST_CASE("Chat templates: depth, steps and text are bounded") {
  CHECK_THAT(parseError("{{ " + times(5000, "(") + times(5000, ")") + " }}"), Catch::Contains("too deeply"));
  CHECK_THAT(parseError("{{ " + times(5000, "[") + times(5000, "]") + " }}"), Catch::Contains("too deeply"));
  CHECK_THAT(parseError("{{ " + times(5000, "not ") + "x }}"), Catch::Contains("too deeply"));
  CHECK_THAT(parseError("{{ x" + times(5000, ".y") + " }}"), Catch::Contains("more than 100 levels"));
  CHECK_THAT(parseError("{{ 1" + times(5000, " + 1") + " }}"), Catch::Contains("more than 100 levels"));
  CHECK_THAT(parseError(times(5000, "{% if x %}")), Catch::Contains("too deeply"));
  CHECK_THAT(parseError("{% set " + times(5000, "(") + "a" + times(5000, ")") + " = x %}"),
             Catch::Contains("too deeply"));
  CHECK_THAT(parseError(std::string(chat::Template::kMaxSource + 1, 'x')),
             Catch::Contains("at most 1048576 bytes"));
  const std::string range = "range(100000)";
  for (const char *text :
       {"{{ range(20000)|list|tojson(separators=('x'*100000, ':')) }}",
        "{% set s = 'a' * 1000000 %}{% for i in range(100000) %}{% if s is upper %}{% endif %}{% endfor %}",
        "{% set s = 'a' * 1000000 %}{% for i in range(100000) %}{{ s|length }}{% endfor %}",
        "{% set s = '1' * 1000000 %}{% for i in range(100000) %}{{ s|int }}{% endfor %}",
        "{% set s = 'a' * 1000000 %}{% for i in range(100000) %}{{ s[9999999] }}{% endfor %}"})
    CHECK_THAT(renderError(text), Catch::Contains("too "));
  CHECK_THAT(renderError("{% for a in " + range + " %}{% for b in " + range + " %}{% endfor %}{% endfor %}"),
             Catch::Contains("too many steps"));
  CHECK_THAT(
      renderError(
          "{% set n = namespace(x='ab') %}{% for a in range(99) %}{% set n.x = n.x ~ n.x %}{% endfor %}"),
      Catch::Contains("too many steps"));
  CHECK_THAT(renderError("{{ 'x' * 9999999999 }}"), Catch::Contains("too many steps"));
  CHECK_THAT(renderError("{{ [[1]] * 9999999999 }}"), Catch::Contains("too many steps"));
  CHECK_THAT(renderError("{{ 'x' | indent(9999999999) }}"), Catch::Contains("too many steps"));
  CHECK_THAT(renderError("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"), Catch::Contains("too deeply"));
  CHECK_THAT(
      renderError("{% set n = namespace(x=[]) %}{% for a in range(200) %}{% set n.x = [n.x] %}{% endfor %}"),
      Catch::Contains("more than 100 levels"));
  CHECK_THAT(renderError("{{ 'a' | map(" + times(2000, "'map', ") + "'upper') | list }}"),
             Catch::Contains("too deeply"));
  // Equal elements, compared again and again: 2 to the 60th comparisons.
  CHECK_THAT(
      renderError("{% set n = namespace(x=[1], y=[1]) %}{% for a in range(60) %}{% set n.x = [n.x, n.x] %}"
                  "{% set n.y = [n.y, n.y] %}{% endfor %}{{ n.x == n.y }}"),
      Catch::Contains("too many steps"));
}

TEST_CASE("Chat templates: a macro that outlives its loop can be called") {
  auto parsed = chat::Template::parse("{% set n = namespace() %}{% for x in [1, 2] %}{% macro m() %}{{ x }}"
                                      "{{ loop.length }}{% endmacro %}{% set n.m = m %}{% endfor %}"
                                      "{% set f = n.m %}{{ f() }}",
                                      "file");
  REQUIRE(parsed.ok());
  CHECK(*parsed->render(Json::object()) == "22");
}
