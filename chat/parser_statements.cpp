// Statements. Expressions are in parser.cpp.
#include "chat/parser.h"

#include <algorithm>
#include <fmt/format.h>

namespace linnet::chat {

Block Parser::parse() {
  Block block = statements({}, {});
  return block;
}

Block Parser::statements(std::initializer_list<std::string_view> ends, Position begin) {
  Block block;
  while (current().kind != TokenKind::end) {
    Position at = current().at;
    if (current().kind == TokenKind::data) {
      block.push_back(std::make_unique<Stmt>(Stmt{.kind = StmtKind::data, .at = at, .text = take().text}));
    } else if (current().kind == TokenKind::variable_begin) {
      take();
      auto print = std::make_unique<Stmt>(Stmt{.kind = StmtKind::print, .at = at});
      print->expressions.push_back(tuple(false));
      expectKind(TokenKind::variable_end, "'}}'");
      block.push_back(std::move(print));
    } else {
      take(); // {%
      for (std::string_view end : ends)
        if (current().isName(end)) return block;
      if (auto made = statement()) block.push_back(std::move(made));
      expectKind(TokenKind::block_end, "'%}'");
    }
  }
  if (ends.size() == 0) return block;
  fail(begin, fmt::format("expected '{}' before the end of the template", *(ends.end() - 1)));
}

Block Parser::body(std::initializer_list<std::string_view> ends, Position begin) {
  Nesting nesting(*this);
  takeOp(":");
  expectKind(TokenKind::block_end, "'%}'");
  return statements(ends, begin);
}

Block Parser::closedBody(std::string_view end, Position begin) {
  const int outer = std::exchange(loops, 0);
  Block block = body({end}, begin);
  take();
  loops = outer;
  return block;
}

std::unique_ptr<Stmt> Parser::statement() {
  Position at = current().at;
  const std::string name = expectName("the name of a statement");
  if (name == "if") return branch(at);
  if (name == "for") return loop(at);
  if (name == "set") return assignment(at);
  if (name == "macro") return macro(at);
  if (name == "call") return callBlock(at);
  if (name == "filter") return filterBlock(at);
  if (name == "with") return with(at);
  if (name == "break") return loopControl(StmtKind::break_loop, at);
  if (name == "continue") return loopControl(StmtKind::continue_loop, at);
  if (name == "generation") {
    auto made = std::make_unique<Stmt>(Stmt{.kind = StmtKind::scope, .at = at});
    made->blocks.push_back(closedBody("endgeneration", at));
    return made;
  }
  fail(at, "statement '" + name + "' is not supported here");
}

std::unique_ptr<Stmt> Parser::branch(Position at) {
  auto made = std::make_unique<Stmt>(Stmt{.kind = StmtKind::branch, .at = at});
  while (true) {
    made->expressions.push_back(tuple(false, false));
    made->blocks.push_back(body({"elif", "else", "endif"}, at));
    if (takeName("elif")) continue;
    if (takeName("else")) made->blocks.push_back(body({"endif"}, at));
    take();
    return made;
  }
}

std::unique_ptr<Stmt> Parser::loop(Position at) {
  auto made = std::make_unique<Stmt>(Stmt{.kind = StmtKind::loop, .at = at});
  made->targets.push_back(target(false, "in"));
  if (!takeName("in")) fail(current().at, "expected 'in' after the names of a loop");
  made->expressions.push_back(tuple(false, false, "recursive"));
  if (takeName("if")) made->expressions.push_back(expression());
  if (current().isName("recursive")) fail(current().at, "recursive loops are not supported");
  ++loops;
  made->blocks.push_back(body({"else", "endfor"}, at));
  --loops;
  if (takeName("else")) made->blocks.push_back(body({"endfor"}, at));
  take();
  return made;
}

std::unique_ptr<Stmt> Parser::assignment(Position at) {
  auto made = std::make_unique<Stmt>(Stmt{.kind = StmtKind::assign, .at = at});
  made->targets.push_back(target(true));
  if (takeOp("=")) {
    made->expressions.push_back(tuple(false));
    return made;
  }
  made->kind = StmtKind::capture;
  if (current().isOp("|")) made->expressions.push_back(capturedFilters(at, false));
  made->blocks.push_back(closedBody("endset", at));
  return made;
}

std::unique_ptr<Stmt> Parser::macro(Position at) {
  auto made = std::make_unique<Stmt>(Stmt{.kind = StmtKind::macro, .at = at});
  made->text = expectName("the name of a macro");
  ++macros;
  made->parameters = signature();
  made->blocks.push_back(closedBody("endmacro", at));
  --macros;
  return made;
}

std::unique_ptr<Stmt> Parser::callBlock(Position at) {
  auto made = std::make_unique<Stmt>(Stmt{.kind = StmtKind::call_block, .at = at});
  if (current().isOp("(")) made->parameters = signature();
  made->expressions.push_back(expression());
  if (made->expressions[0]->kind != ExprKind::call) fail(at, "expected a call after 'call'");
  ++macros;
  made->blocks.push_back(closedBody("endcall", at));
  --macros;
  return made;
}

std::unique_ptr<Stmt> Parser::filterBlock(Position at) {
  auto made = std::make_unique<Stmt>(Stmt{.kind = StmtKind::filter, .at = at});
  made->expressions.push_back(capturedFilters(at, true));
  made->blocks.push_back(closedBody("endfilter", at));
  return made;
}

std::unique_ptr<Stmt> Parser::with(Position at) {
  auto made = std::make_unique<Stmt>(Stmt{.kind = StmtKind::scope, .at = at});
  while (current().kind != TokenKind::block_end) {
    if (!made->targets.empty()) expectOp(",");
    made->targets.push_back(target(false));
    expectOp("=");
    made->expressions.push_back(expression());
  }
  made->blocks.push_back(body({"endwith"}, at));
  take();
  return made;
}

std::unique_ptr<Stmt> Parser::loopControl(StmtKind kind, Position at) {
  if (loops == 0)
    fail(at, kind == StmtKind::break_loop ? "'break' outside of a loop" : "'continue' outside of a loop");
  return std::make_unique<Stmt>(Stmt{.kind = kind, .at = at});
}

ExprPtr Parser::capturedFilters(Position at, bool inline_first) {
  ExprPtr result = node(ExprKind::name, at);
  result->text = kCaptured;
  if (inline_first) {
    tokens[--next] = {.kind = TokenKind::op, .at = at, .text = "|"}; // replaces the consumed name "filter"
  }
  while (current().isOp("|")) result = filter(std::move(result));
  return result;
}

Target Parser::target(bool attributes, std::string_view end) {
  Target first = singleTarget(attributes);
  if (!current().isOp(",")) return first;
  Target all;
  all.parts.push_back(std::move(first));
  while (takeOp(",")) {
    if (current().isOp(")") || current().isOp("=") || (!end.empty() && current().isName(end))) break;
    all.parts.push_back(singleTarget(attributes));
  }
  return all;
}

Target Parser::singleTarget(bool attributes) {
  Position at = current().at;
  if (takeOp("(")) {
    Nesting nesting(*this);
    Target inner = target(attributes);
    expectOp(")");
    return inner;
  }
  Target made{.name = expectName("a name to assign to")};
  for (std::string_view constant : {"true", "false", "none", "True", "False", "None"})
    if (made.name == constant) fail(at, "expected a name to assign to, found '" + made.name + "'");
  if (attributes && takeOp(".")) made.attribute = expectName("an attribute to assign to");
  return made;
}

std::vector<Parameter> Parser::signature() {
  std::vector<Parameter> parameters;
  expectOp("(");
  while (!current().isOp(")")) {
    if (!parameters.empty()) expectOp(",");
    Position at = current().at;
    Parameter parameter{.name = expectName("the name of a parameter"), .initial = nullptr};
    if (takeOp("="))
      parameter.initial = expression();
    else if (!parameters.empty() && parameters.back().initial)
      fail(at, "a parameter without a default after one with a default");
    parameters.push_back(std::move(parameter));
  }
  take();
  return parameters;
}

Block parseTemplate(std::string_view source) { return Parser(tokenize(source)).parse(); }

} // namespace linnet::chat
