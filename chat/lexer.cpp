#include "chat/lexer.h"
#include "chat/text.h"
#include "tokenizer/unicode.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>

namespace linnet::chat {
namespace {

bool isDigit(char c) { return c >= '0' && c <= '9'; }
bool isNameStart(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

/// Jinja2 reads \r\n and \r as \n, and drops one line feed at the end.
std::string normalized(std::string_view source) {
  std::string out;
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r')
      out += source[i];
    else if (i + 1 == source.size() || source[i + 1] != '\n')
      out += '\n';
  }
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

class Lexer {
public:
  explicit Lexer(std::string_view text) : source(normalized(text)) {}

  std::vector<Token> run() {
    if (!unicode::isValid(source)) {
      at = unicode::validPrefix(source);
      fail("expected UTF-8, found an ill-formed byte");
    }
    while (at < source.size()) {
      size_t tag = nextTag(at);
      if (tag == source.npos) {
        addData(source.substr(at), at);
        at = source.size();
        break;
      }
      std::string_view before = std::string_view(source).substr(at, tag - at);
      addData(std::string(keptBefore(before, tag)), at);
      at = tag;
      readTag();
    }
    tokens.push_back({.kind = TokenKind::end, .at = position(at)});
    return std::move(tokens);
  }

private:
  [[noreturn]] void fail(std::string message) { throw PositionedFault{{std::move(message)}, position(at)}; }

  /// Counts on from the last call, so offsets increase. They decrease only before an error.
  Position position(size_t offset) {
    if (offset < counted) counted = 0, here = {};
    for (; counted < offset; ++counted) {
      if (source[counted] == '\n')
        here = {here.line + 1, 1};
      else
        here.column +=
            (static_cast<unsigned char>(source[counted]) & 0xC0) != 0x80; // not a continuation byte
    }
    return here;
  }

  /// The next "{{", "{%" or "{#", or npos.
  size_t nextTag(size_t from) const {
    for (size_t i = source.find('{', from); i != source.npos && i + 1 < source.size();
         i = source.find('{', i + 1))
      if (source[i + 1] == '{' || source[i + 1] == '%' || source[i + 1] == '#') return i;
    return source.npos;
  }

  /// The part of the text before a tag that the tag leaves: "-" strips white space, and a block's or comment's
  /// tag that begins a line strips its indentation unless it has a "+".
  std::string_view keptBefore(std::string_view text, size_t tag) const {
    const char sign = tag + 2 < source.size() ? source[tag + 2] : '\0';
    if (sign == '-') return stripped(text, false, true);
    if (sign == '+' || source[tag + 1] == '{') return text;
    size_t line_start = text.rfind('\n') + 1; // 0 without a line feed
    if (line_start == 0 && !line_starting) return text;
    std::string_view indentation = text.substr(line_start);
    return stripped(indentation, true, false).empty() ? text.substr(0, line_start) : text;
  }

  void addData(std::string text, size_t offset) {
    if (!text.empty())
      tokens.push_back({.kind = TokenKind::data, .at = position(offset), .text = std::move(text)});
  }

  bool follows(std::string_view text) const { return std::string_view(source).substr(at).starts_with(text); }
  void skipSpace() { at += leadingSpace(std::string_view(source).substr(at)); }

  /// Consumes the end of a tag that begins at `at`, with the white space that it strips.
  bool endTag(std::string_view close) {
    const bool variable = close == "}}";
    std::string_view rest = std::string_view(source).substr(at);
    if (rest.starts_with('-') && rest.substr(1).starts_with(close)) {
      at += 1 + close.size();
      skipSpace();
    } else if (!variable && rest.starts_with('+') && rest.substr(1).starts_with(close)) {
      at += 1 + close.size();
    } else if (rest.starts_with(close)) {
      at += close.size();
      if (!variable && at < source.size() && source[at] == '\n') ++at;
    } else {
      return false;
    }
    line_starting = source[at - 1] == '\n';
    return true;
  }

  void skipSign() {
    if (at < source.size() && (source[at] == '-' || source[at] == '+')) ++at;
  }

  void readTag() {
    const size_t begin = at;
    const char type = source[at + 1];
    at += 2;
    skipSign();
    if (type == '#') return skipComment(begin);
    if (type == '%' && readRaw(begin)) return;
    const bool variable = type == '{';
    tokens.push_back(
        {.kind = variable ? TokenKind::variable_begin : TokenKind::block_begin, .at = position(begin)});
    while (true) {
      const size_t end_at = at;
      if (open.empty() && endTag(variable ? "}}" : "%}")) {
        tokens.push_back(
            {.kind = variable ? TokenKind::variable_end : TokenKind::block_end, .at = position(end_at)});
        return;
      }
      if (at >= source.size()) {
        at = begin;
        fail(fmt::format("expected {} before the end of the template", variable ? "'}}'" : "'%}'"));
      }
      if (size_t space = leadingSpace(std::string_view(source).substr(at)))
        at += space;
      else
        readToken();
    }
  }

  void skipComment(size_t begin) {
    // The first end decides, also directly after "{#-".
    for (; at < source.size(); ++at)
      if (endTag("#}")) return;
    at = begin;
    fail("expected '#}' before the end of the template");
  }

  /// {% raw %}...{% endraw %}. `at` is behind "{%" and its sign.
  bool readRaw(size_t begin) {
    const size_t after_sign = at;
    skipSpace();
    if (!follows("raw")) return at = after_sign, false;
    at += 3;
    skipSpace();
    if (follows("-%}")) {
      at += 3;
      skipSpace();
    } else if (follows("%}")) {
      at += 2;
    } else {
      return at = after_sign, false;
    }
    line_starting = source[at - 1] == '\n';
    const size_t text_begin = at;
    for (size_t tag = source.find("{%", at); tag != source.npos; tag = source.find("{%", tag + 1)) {
      at = tag + 2;
      skipSign();
      skipSpace();
      if (!follows("endraw")) continue;
      at += 6;
      skipSpace();
      if (!follows("%}") && !follows("-%}") && !follows("+%}")) continue;
      std::string_view text = std::string_view(source).substr(text_begin, tag - text_begin);
      std::string kept(keptBefore(text, tag));
      if (!endTag("%}")) continue;
      addData(std::move(kept), text_begin);
      return true;
    }
    at = begin;
    fail("expected '{% endraw %}' before the end of the template");
  }

  void readToken() {
    const char c = source[at];
    const size_t begin = at;
    Token token{.at = position(at)};
    if (isDigit(c)) {
      readNumber(token);
    } else if (isNameStart(c)) {
      while (at < source.size() && (isNameStart(source[at]) || isDigit(source[at]))) ++at;
      token.kind = TokenKind::name;
      token.text = source.substr(begin, at - begin);
    } else if (c == '\'' || c == '"') {
      readString(token, c);
    } else {
      readOperator(token);
    }
    tokens.push_back(std::move(token));
  }

  /// Digits with single underscores between them.
  std::string digits() {
    std::string out;
    for (; at < source.size(); ++at) {
      if (isDigit(source[at]))
        out += source[at];
      else if (source[at] != '_' || out.empty() || at + 1 == source.size() || !isDigit(source[at + 1]))
        break;
    }
    return out;
  }

  void readNumber(Token &token) {
    const size_t begin = at;
    std::string text = digits();
    bool real = false;
    const bool after_dot = begin > 0 && source[begin - 1] == '.'; // x.0.1 are two items
    if (!after_dot && at + 1 < source.size() && source[at] == '.' && isDigit(source[at + 1])) {
      ++at;
      text += "." + digits();
      real = true;
    }
    if (!after_dot && at < source.size() && (source[at] == 'e' || source[at] == 'E')) {
      size_t exponent = at + 1;
      if (exponent < source.size() && (source[exponent] == '-' || source[exponent] == '+')) ++exponent;
      if (exponent < source.size() && isDigit(source[exponent])) {
        text += source.substr(at, exponent - at);
        at = exponent;
        text += digits();
        real = true;
      }
    }
    if (at < source.size() && isNameStart(source[at])) fail("expected a decimal number");
    const char *end = text.data() + text.size();
    token.kind = real ? TokenKind::real : TokenKind::integer;
    auto result = real ? std::from_chars(text.data(), end, token.real)
                       : std::from_chars(text.data(), end, token.integer);
    const bool leading_zero = !real && text[0] == '0' && text.find_first_not_of('0') != text.npos;
    if (result.ec != std::errc() || leading_zero) {
      at = begin;
      fail(leading_zero ? "a number with leading zeros" : "a number that is too large");
    }
  }

  void readString(Token &token, char quote) {
    const size_t begin = at++;
    token.kind = TokenKind::string;
    while (at < source.size() && source[at] != quote) {
      if (source[at] != '\\' || at + 1 == source.size())
        token.text += source[at++];
      else
        readEscape(token.text);
    }
    if (at >= source.size()) {
      at = begin;
      fail("expected the end of the string before the end of the template");
    }
    ++at;
  }

  /// The escapes of Python's strings.
  void readEscape(std::string &out) {
    constexpr std::string_view kEscapes = "n\nt\tr\r\\\\'\'\"\"a\ab\bf\fv\v";
    const char c = source[at + 1];
    for (size_t i = 0; i < kEscapes.size(); i += 2) {
      if (c != kEscapes[i]) continue;
      out += kEscapes[i + 1];
      at += 2;
      return;
    }
    size_t most = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (c == '\n') {
      at += 2;
    } else if (c >= '0' && c <= '7') {
      constexpr size_t kOctalDigits = 3;
      uint32_t code = 0;
      size_t end = at + 1;
      for (; end < std::min(source.size(), at + 1 + kOctalDigits) && source[end] >= '0' && source[end] <= '7';
           ++end)
        code = code * 8 + static_cast<uint32_t>(source[end] - '0');
      unicode::append(out, code);
      at = end;
    } else if (most) {
      const char *begin = source.data() + std::min(at + 2, source.size());
      const char *end = source.data() + std::min(at + 2 + most, source.size());
      uint32_t code = 0;
      auto result = std::from_chars(begin, end, code, 16);
      if (result.ptr != begin + most || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000))
        fail(fmt::format("'\\{}': expected {} hexadecimal digits of a character", c, most));
      unicode::append(out, code);
      at += 2 + most;
    } else if (c == 'N') {
      fail("'\\N': characters by name are not supported");
    } else {
      out += '\\';
      ++at;
    }
  }

  void readOperator(Token &token) {
    constexpr std::string_view kOperators[] = {"**", "//", "==", "!=", ">=", "<=", "+", "-", "/",
                                               "*",  "%",  "~",  "[",  "]",  "(",  ")", "{", "}",
                                               ">",  "<",  "=",  ".",  ":",  "|",  ",", ";"};
    for (std::string_view op : kOperators) {
      if (!follows(op)) continue;
      token.kind = TokenKind::op;
      token.text = op;
      balance(op[0]);
      at += op.size();
      return;
    }
    size_t next = at;
    unicode::next(source.data(), next);
    fail(fmt::format("unexpected character '{}'", source.substr(at, next - at)));
  }

  void balance(char c) {
    constexpr std::string_view kOpening = "([{", kClosing = ")]}";
    if (size_t i = kOpening.find(c); i != kOpening.npos) open += kClosing[i];
    if (kClosing.find(c) == kClosing.npos) return;
    if (open.empty()) fail(fmt::format("unexpected '{}'", c));
    if (open.back() != c) fail(fmt::format("expected '{}', found '{}'", open.back(), c));
    open.pop_back();
  }

  std::string source;
  std::vector<Token> tokens;
  std::string open; ///< the closing brackets that are expected, in a tag
  size_t at = 0;
  bool line_starting = true; ///< the last tag consumed a line feed at its end, or there was none yet
  size_t counted = 0;        ///< `here` is the position of this offset
  Position here;
};

} // namespace

std::vector<Token> tokenize(std::string_view source) { return Lexer(source).run(); }

} // namespace linnet::chat
