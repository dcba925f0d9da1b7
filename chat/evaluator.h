// Evaluates the syntax tree.
#pragma once
#include "chat/callable.h"
#include "chat/library.h"
#include "chat/syntax.h"

#include <ctime>
#include <deque>

namespace linnet::chat {

class Evaluator {
public:
  Heap heap;
  const std::tm now; ///< for strftime_now

  /// Bounds the recursion during its lifetime.
  class Nesting;

  Evaluator(int64_t work, const std::tm &now) : heap(work), now(now) {}
  /// Throws Fault; position() is then the position of the faulty node.
  std::string run(const Block &block, Scope &variables);
  Position position() const { return at; }

  Value call(const Callable &callable, const Arguments &arguments);
  /// `object.name` and `object[key]` as Jinja2 looks them up. Undefined if there is none.
  Value attribute(Value object, std::string_view name);
  Value item(Value object, Value key);

private:
  /// Makes a scope current during its lifetime.
  class Inside;
  enum class Flow { next, break_loop, continue_loop };

  Value evaluate(const Expr &expr);
  Value operation(const Expr &expr);
  Value name(const Expr &expr);
  Value comparison(const Expr &expr);
  Value invoke(const Expr &expr);
  Value method(Value object, std::string_view name);
  Arguments arguments(const Expr &expr);

  Flow execute(const Block &block);
  Flow execute(const Stmt &stmt);
  Flow branch(const Stmt &stmt);
  Flow loop(const Stmt &stmt);
  Flow body(const Stmt &stmt);
  void capture(const Stmt &stmt);
  void callBlock(const Stmt &stmt);
  Value callMacro(const Callable &callable, const Arguments &arguments);
  /// The text that the block writes.
  std::string captured(const Block &block);
  Value throughFilters(const Stmt &stmt, Value text);
  void assign(const Target &target, Value value);
  void write(std::string_view text);
  Scope *newScope(Scope *parent);

  std::deque<Scope> scopes; // macros may refer to each of them until the end
  Scope *scope = nullptr;
  std::string *out = nullptr;
  int depth = 0;
  Position at;
};

// The operators of expressions; they throw Fault.

Value add(Heap &heap, Value a, Value b);
/// subtract, multiply, divide, floor_divide, modulo and power
Value arithmetic(Heap &heap, ExprKind kind, Value a, Value b);
Value negated(Value value);
Value slice(Heap &heap, Value value, Value first, Value last, Value step);
/// str.replace()
Value replacedValue(Heap &heap, std::string_view text, std::string_view from, std::string_view to,
                    int64_t count);

} // namespace linnet::chat
