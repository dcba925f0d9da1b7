// Builds the syntax tree from tokens.
#pragma once
#include "chat/syntax.h"

namespace linnet::chat {

/// Most levels of an expression, and of statements and brackets that are inside each other.
inline constexpr int kMaxDepth = 100;

class Parser {
public:
  explicit Parser(std::vector<Token> tokens) : tokens(std::move(tokens)) {}
  Block parse();

private:
  /// Counts a level of recursion during its lifetime.
  class Nesting {
  public:
    explicit Nesting(Parser &parser) : parser(parser) {
      if (++parser.depth > kMaxDepth)
        parser.fail(parser.current().at, "expressions or statements are nested too deeply");
    }
    ~Nesting() { --parser.depth; }

  private:
    Parser &parser;
  };

  [[noreturn]] void fail(Position at, std::string message);
  const Token &current() const { return tokens[next]; }
  const Token &ahead() const { return tokens[std::min(next + 1, tokens.size() - 1)]; }
  const Token &take();
  bool takeOp(std::string_view op);
  bool takeName(std::string_view name);
  void expectOp(std::string_view op);
  std::string expectName(std::string_view what);
  void expectKind(TokenKind kind, std::string_view what);

  ExprPtr node(ExprKind kind, Position at, std::vector<ExprPtr> children = {});
  /// A node with one child, or two if `b` is not null.
  ExprPtr pair(ExprKind kind, Position at, ExprPtr a, ExprPtr b = nullptr);
  ExprPtr expression();
  ExprPtr disjunction();
  ExprPtr conjunction();
  ExprPtr inversion();
  ExprPtr comparison();
  ExprPtr sum();
  ExprPtr concatenation();
  ExprPtr product();
  ExprPtr power();
  ExprPtr unary(bool with_filters);
  ExprPtr primary();
  ExprPtr nameOrConstant();
  /// Expressions with commas are a tuple, a single one is itself. `conditional`: "a if b else c" is allowed.
  /// A name `end` ends it.
  ExprPtr tuple(bool parentheses, bool conditional = true, std::string_view end = {});
  ExprPtr listLiteral();
  ExprPtr dictLiteral();
  ExprPtr postfix(ExprPtr result);
  ExprPtr filters(ExprPtr result);
  ExprPtr attribute(ExprPtr object);
  ExprPtr subscript(ExprPtr object);
  ExprPtr withArguments(ExprKind kind, Position at, ExprPtr subject, std::string name);
  ExprPtr call(ExprPtr callee);
  ExprPtr filter(ExprPtr input);
  ExprPtr test(ExprPtr input);

  using StmtPtr = std::unique_ptr<Stmt>;
  /// Statements until a tag with one of the names. Consumes "{%" and leaves the name.
  Block statements(std::initializer_list<std::string_view> ends, Position begin);
  /// "%}", statements, and the name of the end tag.
  Block body(std::initializer_list<std::string_view> ends, Position begin);
  /// The same in a place that break and continue cannot leave.
  Block closedBody(std::string_view end, Position begin);
  StmtPtr statement();
  StmtPtr branch(Position at);
  StmtPtr loop(Position at);
  StmtPtr assignment(Position at);
  StmtPtr macro(Position at);
  StmtPtr callBlock(Position at);
  StmtPtr filterBlock(Position at);
  StmtPtr with(Position at);
  StmtPtr loopControl(StmtKind kind, Position at);
  /// Filters that are applied to kCaptured; the first "|" may be absent.
  ExprPtr capturedFilters(Position at, bool inline_first);
  /// A name, an attribute, or several of them with commas and parentheses. A name `end` ends it.
  Target target(bool attributes, std::string_view end = {});
  Target singleTarget(bool attributes);
  std::vector<Parameter> signature();

  std::vector<Token> tokens;
  size_t next = 0;
  int depth = 0, loops = 0, macros = 0;
};

} // namespace linnet::chat
