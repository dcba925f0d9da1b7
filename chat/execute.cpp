// Statements.
#include "chat/evaluator.h"
#include "chat/nesting.h"

#include <algorithm>
#include <fmt/format.h>

namespace linnet::chat {

constexpr size_t kMaxOutput = size_t(64) << 20; ///< bytes of rendered text

const Value *Scope::find(std::string_view name) const {
  for (const Scope *at = this; at; at = at->parent)
    for (const auto &[key, value] : at->names)
      if (key == name) return &value;
  return nullptr;
}

void Scope::set(std::string_view name, Value value) {
  for (auto &[key, old] : names)
    if (key == name) return void(old = value);
  names.emplace_back(name, value);
}

std::string Evaluator::run(const Block &block, Scope &variables) {
  std::string text;
  out = &text;
  scope = newScope(&variables);
  execute(block);
  return text;
}

Scope *Evaluator::newScope(Scope *parent) {
  heap.spend(sizeof(Scope));
  return &scopes.emplace_back(Scope{.parent = parent});
}

void Evaluator::write(std::string_view text) {
  heap.spend(text.size());
  if (text.size() > kMaxOutput - out->size()) throw Fault{"the template writes too much text"};
  *out += text;
}

Evaluator::Flow Evaluator::execute(const Block &block) {
  for (const auto &stmt : block)
    if (Flow flow = execute(*stmt); flow != Flow::next) return flow;
  return Flow::next;
}

Evaluator::Flow Evaluator::execute(const Stmt &stmt) {
  Nesting nesting(*this);
  heap.spend(1);
  at = stmt.at;
  switch (stmt.kind) {
  case StmtKind::data:
    write(stmt.text);
    return Flow::next;
  case StmtKind::print: {
    Value value = evaluate(*stmt.expressions[0]);
    at = stmt.at;
    write(str(heap, value));
    return Flow::next;
  }
  case StmtKind::branch:
    return branch(stmt);
  case StmtKind::loop:
    return loop(stmt);
  case StmtKind::assign:
    assign(stmt.targets[0], evaluate(*stmt.expressions[0]));
    return Flow::next;
  case StmtKind::capture:
    capture(stmt);
    return Flow::next;
  case StmtKind::filter:
    write(str(heap, throughFilters(stmt, heap.text(captured(stmt.blocks[0])))));
    return Flow::next;
  case StmtKind::macro: {
    Callable *macro = heap.callable();
    *macro = {.kind = CallableKind::macro, .name = stmt.text, .object = {}, .macro = &stmt, .scope = scope};
    Value value = ofCallable(macro);
    scope->set(stmt.text, value);
    return Flow::next;
  }
  case StmtKind::call_block:
    callBlock(stmt);
    return Flow::next;
  case StmtKind::scope:
    return body(stmt);
  case StmtKind::break_loop:
    return Flow::break_loop;
  case StmtKind::continue_loop:
    return Flow::continue_loop;
  }
  return Flow::next;
}

Evaluator::Flow Evaluator::branch(const Stmt &stmt) {
  for (size_t i = 0; i < stmt.expressions.size(); ++i)
    if (truth(evaluate(*stmt.expressions[i]))) return execute(stmt.blocks[i]);
  return stmt.blocks.size() > stmt.expressions.size() ? execute(stmt.blocks.back()) : Flow::next;
}

Evaluator::Flow Evaluator::loop(const Stmt &stmt) {
  std::vector<Value> items = elements(heap, evaluate(*stmt.expressions[0]));
  if (stmt.expressions.size() > 1) {
    std::vector<Value> kept;
    Inside inside(*this, newScope(scope));
    for (Value value : items) {
      assign(stmt.targets[0], value);
      if (truth(evaluate(*stmt.expressions[1]))) kept.push_back(value);
    }
    items = std::move(kept);
  }
  if (items.empty()) {
    if (stmt.blocks.size() < 2) return Flow::next;
    Inside inside(*this, newScope(scope));
    return execute(stmt.blocks[1]);
  }
  Loop *state = heap.loop(std::move(items)); // a macro that the body defines may outlive this call
  Value loop_value = ofKind(Kind::loop);
  loop_value.loop = state;
  for (; state->index < state->items.size(); ++state->index) {
    Inside inside(*this, newScope(scope));
    scope->set("loop", loop_value);
    assign(stmt.targets[0], state->items[state->index]);
    if (execute(stmt.blocks[0]) == Flow::break_loop) break;
  }
  return Flow::next;
}

Evaluator::Flow Evaluator::body(const Stmt &stmt) {
  Scope *inner = newScope(scope);
  std::vector<Value> values;
  for (const ExprPtr &expr : stmt.expressions) values.push_back(evaluate(*expr));
  Inside inside(*this, inner);
  for (size_t i = 0; i < values.size(); ++i) assign(stmt.targets[i], values[i]);
  return execute(stmt.blocks[0]);
}

std::string Evaluator::captured(const Block &block) {
  std::string text;
  std::string *outer = std::exchange(out, &text);
  {
    Inside inside(*this, newScope(scope));
    execute(block);
  }
  out = outer;
  return text;
}

Value Evaluator::throughFilters(const Stmt &stmt, Value text) {
  if (stmt.expressions.empty()) return text;
  Inside inside(*this, newScope(scope));
  scope->set(kCaptured, text);
  return evaluate(*stmt.expressions[0]);
}

void Evaluator::capture(const Stmt &stmt) {
  assign(stmt.targets[0], throughFilters(stmt, heap.text(captured(stmt.blocks[0]))));
}

void Evaluator::callBlock(const Stmt &stmt) {
  const Expr &call = *stmt.expressions[0];
  Callable *caller = heap.callable();
  *caller = {.kind = CallableKind::macro, .name = "caller", .object = {}, .macro = &stmt, .scope = scope};
  Value value = ofCallable(caller);
  Value callee = evaluate(*call.children[0]);
  Arguments given = arguments(call);
  at = stmt.at;
  if (!callee.is(Kind::callable) || callee.callable->kind != CallableKind::macro)
    throw Fault{fmt::format("'call': expected a macro, found {}", typeName(callee))};
  given.named.emplace_back("caller", value);
  write(str(heap, this->call(*callee.callable, given)));
}

Value Evaluator::callMacro(const Callable &callable, const Arguments &arguments) {
  const Stmt &macro = *callable.macro;
  if (arguments.values.size() > macro.parameters.size())
    throw Fault{fmt::format("macro '{}': expected at most {} arguments, found {}", callable.name,
                            macro.parameters.size(), arguments.values.size())};
  for (const auto &argument : arguments.named) {
    const bool known =
        std::any_of(macro.parameters.begin(), macro.parameters.end(),
                    [&](const Parameter &parameter) { return parameter.name == argument.first; });
    if (!known && argument.first != "caller")
      throw Fault{fmt::format("macro '{}' has no parameter '{}'", callable.name, argument.first)};
  }
  std::string text;
  std::string *outer = std::exchange(out, &text);
  Inside inside(*this, newScope(callable.scope));
  for (const auto &[name, value] : arguments.named) scope->set(name, value);
  for (size_t i = 0; i < macro.parameters.size(); ++i) {
    const Parameter &parameter = macro.parameters[i];
    const bool named = std::any_of(arguments.named.begin(), arguments.named.end(),
                                   [&](const auto &entry) { return entry.first == parameter.name; });
    if (i < arguments.values.size()) {
      if (named) throw Fault{fmt::format("macro '{}': '{}' is given twice", callable.name, parameter.name)};
      scope->set(parameter.name, arguments.values[i]);
    } else if (!named) {
      scope->set(parameter.name, parameter.initial
                                     ? evaluate(*parameter.initial)
                                     : heap.undefined("parameter '" + parameter.name + "' is undefined"));
    }
  }
  execute(macro.blocks[0]);
  out = outer;
  return heap.text(std::move(text));
}

void Evaluator::assign(const Target &target, Value value) {
  if (!target.attribute.empty()) {
    const Value *space = scope->find(target.name);
    if (!space || !space->is(Kind::space))
      throw Fault{fmt::format("'{}' is not a namespace, so its attributes cannot be assigned", target.name)};
    for (auto &[name, old] : space->space->attributes)
      if (name == target.attribute) return void(old = value);
    space->space->attributes.emplace_back(target.attribute, value);
    return;
  }
  if (target.parts.empty()) return scope->set(target.name, value);
  requireDefined(value);
  std::vector<Value> items = elements(heap, value);
  if (items.size() != target.parts.size())
    throw Fault{fmt::format("expected {} values to assign, found {}", target.parts.size(), items.size())};
  for (size_t i = 0; i < items.size(); ++i) assign(target.parts[i], items[i]);
}

} // namespace linnet::chat
