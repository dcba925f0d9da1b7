// Expressions, in the order of precedence of Jinja2's parser. Statements are in parser_statements.cpp.
#include "chat/parser.h"
#include "chat/library.h"

#include <algorithm>
#include <fmt/format.h>

namespace linnet::chat {
namespace {

constexpr std::pair<std::string_view, Comparison> kComparisons[] = {
    {"==", Comparison::eq}, {"!=", Comparison::ne}, {"<", Comparison::lt},
    {"<=", Comparison::le}, {">", Comparison::gt},  {">=", Comparison::ge}};

std::string shown(const Token &token) {
  constexpr size_t kLongest = 40;
  switch (token.kind) {
  case TokenKind::end:
    return "the end of the template";
  case TokenKind::block_end:
    return "'%}'";
  case TokenKind::variable_end:
    return "'}}'";
  case TokenKind::data:
  case TokenKind::string:
    return "a text";
  case TokenKind::integer:
  case TokenKind::real:
    return "a number";
  default:
    return "'" + token.text.substr(0, kLongest) + "'";
  }
}

} // namespace

void Parser::fail(Position at, std::string message) { throw PositionedFault{{std::move(message)}, at}; }

const Token &Parser::take() {
  const Token &token = tokens[next];
  if (next + 1 < tokens.size()) ++next;
  return token;
}

bool Parser::takeOp(std::string_view op) {
  if (!current().isOp(op)) return false;
  take();
  return true;
}

bool Parser::takeName(std::string_view name) {
  if (!current().isName(name)) return false;
  take();
  return true;
}

void Parser::expectOp(std::string_view op) {
  if (!takeOp(op)) fail(current().at, fmt::format("expected '{}', found {}", op, shown(current())));
}

std::string Parser::expectName(std::string_view what) {
  if (current().kind != TokenKind::name)
    fail(current().at, fmt::format("expected {}, found {}", what, shown(current())));
  return take().text;
}

void Parser::expectKind(TokenKind kind, std::string_view what) {
  if (current().kind != kind)
    fail(current().at, fmt::format("expected {}, found {}", what, shown(current())));
  take();
}

ExprPtr Parser::node(ExprKind kind, Position at, std::vector<ExprPtr> children) {
  auto made = std::make_unique<Expr>(Expr{.kind = kind, .at = at, .children = std::move(children)});
  for (const ExprPtr &child : made->children) made->depth = std::max(made->depth, child->depth + 1);
  if (made->depth > kMaxDepth) fail(at, fmt::format("an expression of more than {} levels", kMaxDepth));
  return made;
}

ExprPtr Parser::pair(ExprKind kind, Position at, ExprPtr a, ExprPtr b) {
  std::vector<ExprPtr> children;
  children.push_back(std::move(a));
  if (b) children.push_back(std::move(b));
  return node(kind, at, std::move(children));
}

ExprPtr Parser::expression() {
  Nesting nesting(*this);
  ExprPtr result = disjunction();
  while (current().isName("if")) {
    Position at = take().at;
    std::vector<ExprPtr> children;
    children.push_back(disjunction());
    children.push_back(std::move(result));
    children.push_back(takeName("else") ? expression() : node(ExprKind::undefined, at));
    result = node(ExprKind::conditional, at, std::move(children));
  }
  return result;
}

ExprPtr Parser::disjunction() {
  ExprPtr left = conjunction();
  while (current().isName("or")) {
    Position at = take().at;
    left = pair(ExprKind::logical_or, at, std::move(left), conjunction());
  }
  return left;
}

ExprPtr Parser::conjunction() {
  ExprPtr left = inversion();
  while (current().isName("and")) {
    Position at = take().at;
    left = pair(ExprKind::logical_and, at, std::move(left), inversion());
  }
  return left;
}

ExprPtr Parser::inversion() {
  if (!current().isName("not")) return comparison();
  Nesting nesting(*this);
  Position at = take().at;
  return pair(ExprKind::logical_not, at, inversion());
}

ExprPtr Parser::comparison() {
  ExprPtr first = sum();
  std::vector<ExprPtr> operands;
  std::vector<Comparison> operators;
  Position at = current().at;
  while (true) {
    auto known = std::find_if(std::begin(kComparisons), std::end(kComparisons),
                              [&](const auto &entry) { return current().isOp(entry.first); });
    if (known != std::end(kComparisons)) {
      take();
      operators.push_back(known->second);
    } else if (takeName("in")) {
      operators.push_back(Comparison::in);
    } else if (current().isName("not") && ahead().isName("in")) {
      take();
      take();
      operators.push_back(Comparison::not_in);
    } else {
      break;
    }
    operands.push_back(sum());
  }
  if (operators.empty()) return first;
  operands.insert(operands.begin(), std::move(first));
  ExprPtr result = node(ExprKind::compare, at, std::move(operands));
  result->operators = std::move(operators);
  return result;
}

ExprPtr Parser::sum() {
  ExprPtr left = concatenation();
  while (current().isOp("+") || current().isOp("-")) {
    const Token &op = take();
    ExprKind kind = op.text == "+" ? ExprKind::add : ExprKind::subtract;
    left = pair(kind, op.at, std::move(left), concatenation());
  }
  return left;
}

ExprPtr Parser::concatenation() {
  std::vector<ExprPtr> parts;
  Position at = current().at;
  do parts.push_back(product());
  while (takeOp("~"));
  return parts.size() == 1 ? std::move(parts[0]) : node(ExprKind::concat, at, std::move(parts));
}

ExprPtr Parser::product() {
  constexpr std::pair<std::string_view, ExprKind> kProducts[] = {{"*", ExprKind::multiply},
                                                                 {"/", ExprKind::divide},
                                                                 {"//", ExprKind::floor_divide},
                                                                 {"%", ExprKind::modulo}};
  ExprPtr left = power();
  while (true) {
    auto known = std::find_if(std::begin(kProducts), std::end(kProducts),
                              [&](const auto &entry) { return current().isOp(entry.first); });
    if (known == std::end(kProducts)) return left;
    Position at = take().at;
    if (known->second == ExprKind::modulo && left->kind == ExprKind::string)
      fail(at, "formatting of strings by '%' is not supported");
    left = pair(known->second, at, std::move(left), power());
  }
}

ExprPtr Parser::power() {
  ExprPtr left = unary(true);
  while (current().isOp("**")) {
    Position at = take().at;
    left = pair(ExprKind::power, at, std::move(left), unary(true));
  }
  return left;
}

ExprPtr Parser::unary(bool with_filters) {
  Nesting nesting(*this);
  ExprPtr result;
  if (current().isOp("-") || current().isOp("+")) {
    const Token &op = take();
    result = pair(op.text == "-" ? ExprKind::negate : ExprKind::plus, op.at, unary(false));
  } else {
    result = primary();
  }
  result = postfix(std::move(result));
  return with_filters ? filters(std::move(result)) : std::move(result);
}

ExprPtr Parser::primary() {
  const Token &token = current();
  switch (token.kind) {
  case TokenKind::name:
    return nameOrConstant();
  case TokenKind::string: {
    ExprPtr result = node(ExprKind::string, token.at);
    while (current().kind == TokenKind::string) result->text += take().text;
    return result;
  }
  case TokenKind::integer: {
    ExprPtr result = node(ExprKind::integer, token.at);
    result->integer = take().integer;
    return result;
  }
  case TokenKind::real: {
    ExprPtr result = node(ExprKind::real, token.at);
    result->real = take().real;
    return result;
  }
  default:
    break;
  }
  if (takeOp("(")) {
    ExprPtr result = tuple(true);
    expectOp(")");
    return result;
  }
  if (token.isOp("[") || token.isOp("{")) return token.isOp("[") ? listLiteral() : dictLiteral();
  fail(token.at, fmt::format("expected an expression, found {}", shown(token)));
}

ExprPtr Parser::nameOrConstant() {
  const Token &token = take();
  const std::string &text = token.text;
  if (text == "true" || text == "True" || text == "false" || text == "False") {
    ExprPtr result = node(ExprKind::boolean, token.at);
    result->truth = text == "true" || text == "True";
    return result;
  }
  if (text == "none" || text == "None") return node(ExprKind::none, token.at);
  if (macros > 0 && (text == "varargs" || text == "kwargs"))
    fail(token.at, "'" + text + "' in a macro is not supported");
  ExprPtr result = node(ExprKind::name, token.at);
  result->text = text;
  return result;
}

ExprPtr Parser::tuple(bool parentheses, bool conditional, std::string_view end) {
  auto ends = [&] {
    return current().kind == TokenKind::variable_end || current().kind == TokenKind::block_end ||
           current().isOp(")") || (!end.empty() && current().isName(end));
  };
  std::vector<ExprPtr> parts;
  Position at = current().at;
  bool is_tuple = false;
  while (!ends()) {
    parts.push_back(conditional ? expression() : disjunction());
    if (!takeOp(",")) break;
    is_tuple = true;
  }
  if (!is_tuple && !parts.empty()) return std::move(parts[0]);
  if (parts.empty() && !parentheses)
    fail(current().at, fmt::format("expected an expression, found {}", shown(current())));
  return node(ExprKind::tuple, at, std::move(parts));
}

ExprPtr Parser::listLiteral() {
  Position at = take().at;
  std::vector<ExprPtr> parts;
  while (!current().isOp("]")) {
    if (!parts.empty()) expectOp(",");
    if (current().isOp("]")) break;
    parts.push_back(expression());
  }
  take();
  return node(ExprKind::list, at, std::move(parts));
}

ExprPtr Parser::dictLiteral() {
  Position at = take().at;
  std::vector<ExprPtr> parts;
  while (!current().isOp("}")) {
    if (!parts.empty()) expectOp(",");
    if (current().isOp("}")) break;
    parts.push_back(expression());
    expectOp(":");
    parts.push_back(expression());
  }
  take();
  return node(ExprKind::dict, at, std::move(parts));
}

ExprPtr Parser::postfix(ExprPtr result) {
  while (true) {
    if (current().isOp("."))
      result = attribute(std::move(result));
    else if (current().isOp("["))
      result = subscript(std::move(result));
    else if (current().isOp("("))
      result = call(std::move(result));
    else
      return result;
  }
}

ExprPtr Parser::filters(ExprPtr result) {
  while (true) {
    if (current().isOp("|"))
      result = filter(std::move(result));
    else if (current().isName("is"))
      result = test(std::move(result));
    else if (current().isOp("("))
      result = call(std::move(result));
    else
      return result;
  }
}

ExprPtr Parser::attribute(ExprPtr object) {
  Position at = take().at;
  if (current().kind == TokenKind::integer) {
    ExprPtr index = primary();
    return pair(ExprKind::item, at, std::move(object), std::move(index));
  }
  ExprPtr result = pair(ExprKind::attribute, at, std::move(object));
  result->text = expectName("a name or a number after '.'");
  if (result->text.starts_with("__")) fail(at, "attribute '" + result->text + "' is not supported");
  return result;
}

ExprPtr Parser::subscript(ExprPtr object) {
  Position at = take().at;
  auto optional = [&] {
    const bool absent = current().isOp(":") || current().isOp("]");
    return absent ? node(ExprKind::none, current().at) : expression();
  };
  if (current().isOp("]")) fail(at, "expected an index, found ']'");
  std::vector<ExprPtr> parts;
  parts.push_back(std::move(object));
  parts.push_back(optional());
  const bool slice = takeOp(":");
  if (slice) {
    parts.push_back(optional());
    parts.push_back(takeOp(":") ? optional() : node(ExprKind::none, at));
  }
  if (current().isOp(",")) fail(current().at, "an index of several parts is not supported");
  expectOp("]");
  return node(slice ? ExprKind::slice : ExprKind::item, at, std::move(parts));
}

ExprPtr Parser::withArguments(ExprKind kind, Position at, ExprPtr subject, std::string name) {
  std::vector<ExprPtr> children;
  children.push_back(std::move(subject));
  std::vector<std::string> names;
  if (takeOp("(")) {
    while (!current().isOp(")")) {
      if (children.size() > 1) expectOp(",");
      if (current().isOp(")")) break;
      if (current().isOp(kListedArguments) || current().isOp(kNamedArguments)) {
        const std::string op = take().text;
        if (std::find(names.begin(), names.end(), op) != names.end())
          fail(at, "'" + op + "' twice in a call");
        names.push_back(op);
      } else if (current().kind == TokenKind::name && ahead().isOp("=")) {
        names.push_back(take().text);
        take();
      } else if (!names.empty()) {
        fail(current().at, "an argument without a name after one with a name");
      }
      children.push_back(expression());
    }
    take();
  }
  ExprPtr result = node(kind, at, std::move(children));
  result->text = std::move(name);
  result->names = std::move(names);
  return result;
}

ExprPtr Parser::call(ExprPtr callee) {
  Position at = current().at;
  if (callee->kind == ExprKind::attribute && !isMethod(callee->text))
    fail(callee->at, "method '" + callee->text + "' is not supported");
  return withArguments(ExprKind::call, at, std::move(callee), {});
}

ExprPtr Parser::filter(ExprPtr input) {
  Position at = take().at;
  std::string name = expectName("the name of a filter");
  if (!isFilter(name)) fail(at, "filter '" + name + "' is not supported");
  return withArguments(ExprKind::filter, at, std::move(input), std::move(name));
}

ExprPtr Parser::test(ExprPtr input) {
  Position at = take().at;
  const bool negated = takeName("not");
  std::string name = expectName("the name of a test");
  if (!isTest(name)) fail(at, "test '" + name + "' is not supported");
  ExprPtr result;
  const bool argument = current().kind == TokenKind::string || current().kind == TokenKind::integer ||
                        current().kind == TokenKind::real || current().isOp("[") || current().isOp("{") ||
                        (current().kind == TokenKind::name && !current().isName("else") &&
                         !current().isName("or") && !current().isName("and"));
  if (argument) {
    if (current().isName("is")) fail(current().at, "a test of a test is not supported");
    ExprPtr value = postfix(primary());
    result = pair(ExprKind::test, at, std::move(input), std::move(value));
    result->text = std::move(name);
  } else {
    result = withArguments(ExprKind::test, at, std::move(input), std::move(name));
  }
  return negated ? pair(ExprKind::logical_not, at, std::move(result)) : std::move(result);
}

} // namespace linnet::chat
