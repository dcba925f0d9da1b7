// Expressions.
#include "chat/evaluator.h"
#include "chat/nesting.h"
#include "chat/text.h"

#include <fmt/format.h>
#include <optional>

namespace linnet::chat {
namespace {

bool isTrue(Heap &heap, Comparison op, Value a, Value b) {
  switch (op) {
  case Comparison::eq:
    return equal(heap, a, b);
  case Comparison::ne:
    return !equal(heap, a, b);
  case Comparison::lt:
    return compare(heap, a, b, "<") < 0;
  case Comparison::le:
    return compare(heap, a, b, "<=") <= 0;
  case Comparison::gt:
    return compare(heap, a, b, ">") > 0;
  case Comparison::ge:
    return compare(heap, a, b, ">=") >= 0;
  case Comparison::in:
    return contains(heap, b, a);
  case Comparison::not_in:
    return !contains(heap, b, a);
  }
  return false;
}

/// Adds the elements of f(*list).
void addListed(Heap &heap, Arguments &arguments, Value list) {
  for (Value value : elements(heap, list)) arguments.values.push_back(value);
}

/// Adds the entries of f(**entries).
void addNamed(Arguments &arguments, Value entries) {
  requireDefined(entries);
  if (!entries.is(Kind::dict)) throw Fault{fmt::format("'**': expected a dict, found {}", typeName(entries))};
  for (const auto &[key, value] : entries.dict->items) {
    std::string_view name = toText(key, "'**'");
    for (const auto &given : arguments.named)
      if (given.first == name) throw Fault{fmt::format("argument '{}' is given twice", name)};
    arguments.named.emplace_back(name, value);
  }
}

/// The attributes of `loop`.
std::optional<Value> ofLoop(Heap &heap, const Loop &loop, std::string_view name) {
  const int64_t index = static_cast<int64_t>(loop.index), size = static_cast<int64_t>(loop.items.size());
  if (name == "index") return integer(index + 1);
  if (name == "index0") return integer(index);
  if (name == "revindex") return integer(size - index);
  if (name == "revindex0") return integer(size - index - 1);
  if (name == "first") return boolean(index == 0);
  if (name == "last") return boolean(index + 1 == size);
  if (name == "length") return integer(size);
  if (name == "depth") return integer(1); // recursive loops alone have more
  if (name == "depth0") return integer(0);
  if (name == "previtem")
    return index > 0 ? loop.items[loop.index - 1] : heap.undefined("there is no previous item");
  if (name == "nextitem")
    return index + 1 < size ? loop.items[loop.index + 1] : heap.undefined("there is no next item");
  return std::nullopt;
}

} // namespace

Value Evaluator::evaluate(const Expr &expr) {
  Nesting nesting(*this);
  heap.spend(1);
  at = expr.at;
  switch (expr.kind) {
  case ExprKind::undefined:
    return heap.undefined("the value of an 'if' without 'else' is undefined");
  case ExprKind::none:
    return none();
  case ExprKind::boolean:
    return boolean(expr.truth);
  case ExprKind::integer:
    return integer(expr.integer);
  case ExprKind::real:
    return real(expr.real);
  case ExprKind::string:
    return heap.text(expr.text);
  case ExprKind::name:
    return name(expr);
  case ExprKind::logical_not:
    return boolean(!truth(evaluate(*expr.children[0])));
  case ExprKind::logical_and: {
    Value left = evaluate(*expr.children[0]);
    return truth(left) ? evaluate(*expr.children[1]) : left;
  }
  case ExprKind::logical_or: {
    Value left = evaluate(*expr.children[0]);
    return truth(left) ? left : evaluate(*expr.children[1]);
  }
  case ExprKind::conditional:
    return evaluate(*expr.children[truth(evaluate(*expr.children[0])) ? 1 : 2]);
  case ExprKind::compare:
    return comparison(expr);
  case ExprKind::call:
    return invoke(expr);
  case ExprKind::filter: {
    Value input = evaluate(*expr.children[0]);
    Arguments given = arguments(expr);
    at = expr.at;
    return applyFilter(*this, expr.text, input, given);
  }
  case ExprKind::test: {
    Value input = evaluate(*expr.children[0]);
    Arguments given = arguments(expr);
    at = expr.at;
    return boolean(applyTest(*this, expr.text, input, given));
  }
  default:
    return operation(expr);
  }
}

/// Expressions whose children are all evaluated first.
Value Evaluator::operation(const Expr &expr) {
  std::vector<Value> values;
  for (const ExprPtr &child : expr.children) values.push_back(evaluate(*child));
  at = expr.at;
  switch (expr.kind) {
  case ExprKind::list:
    return heap.list(std::move(values));
  case ExprKind::tuple:
    return heap.list(std::move(values), Flavor::tuple);
  case ExprKind::dict: {
    std::vector<std::pair<Value, Value>> items;
    for (size_t i = 0; i + 1 < values.size(); i += 2) chat::assign(heap, items, values[i], values[i + 1]);
    return heap.dict(std::move(items));
  }
  case ExprKind::attribute:
    return attribute(values[0], expr.text);
  case ExprKind::item:
    return item(values[0], values[1]);
  case ExprKind::slice:
    return slice(heap, values[0], values[1], values[2], values[3]);
  case ExprKind::negate:
    return negated(values[0]);
  case ExprKind::plus:
    return values[0].is(Kind::real) ? values[0] : integer(toInteger(values[0], "+"));
  case ExprKind::add:
    return add(heap, values[0], values[1]);
  case ExprKind::concat: {
    std::string text;
    for (Value value : values) text += str(heap, value);
    return heap.text(std::move(text));
  }
  default:
    return arithmetic(heap, expr.kind, values[0], values[1]);
  }
}

Value Evaluator::name(const Expr &expr) {
  for (const Scope *each = scope; each; each = each->parent) heap.spend(each->names.size());
  if (const Value *found = scope->find(expr.text)) return *found;
  if (isFunction(expr.text)) {
    Callable *function = heap.callable();
    function->name = expr.text;
    return ofCallable(function);
  }
  return heap.undefined("'" + expr.text + "' is undefined");
}

Value Evaluator::comparison(const Expr &expr) {
  Value left = evaluate(*expr.children[0]);
  for (size_t i = 0; i < expr.operators.size(); ++i) {
    Value right = evaluate(*expr.children[i + 1]);
    at = expr.at;
    if (!isTrue(heap, expr.operators[i], left, right)) return boolean(false);
    left = right;
  }
  return boolean(true);
}

Arguments Evaluator::arguments(const Expr &expr) {
  Arguments out;
  const size_t positional = expr.children.size() - expr.names.size();
  for (size_t i = 1; i < expr.children.size(); ++i) {
    Value value = evaluate(*expr.children[i]);
    if (i < positional)
      out.values.push_back(value);
    else if (expr.names[i - positional] == kListedArguments)
      addListed(heap, out, value);
    else if (expr.names[i - positional] == kNamedArguments)
      addNamed(out, value);
    else
      out.named.emplace_back(expr.names[i - positional], value);
  }
  return out;
}

Value Evaluator::invoke(const Expr &expr) {
  Value callee = evaluate(*expr.children[0]);
  Arguments given = arguments(expr);
  at = expr.at;
  requireDefined(callee);
  if (!callee.is(Kind::callable)) throw Fault{fmt::format("a {} cannot be called", typeName(callee))};
  return call(*callee.callable, given);
}

Value Evaluator::call(const Callable &callable, const Arguments &arguments) {
  switch (callable.kind) {
  case CallableKind::function:
    return callFunction(*this, callable.name, arguments);
  case CallableKind::method:
    return callMethod(*this, callable.object, callable.name, arguments);
  case CallableKind::macro:
    return callMacro(callable, arguments);
  }
  return none();
}

Value Evaluator::method(Value object, std::string_view name) {
  Callable *bound = heap.callable();
  bound->kind = CallableKind::method;
  bound->name = name;
  bound->object = object;
  return ofCallable(bound);
}

Value Evaluator::attribute(Value object, std::string_view name) {
  requireDefined(object);
  if (object.is(Kind::space)) {
    for (const auto &[key, value] : object.space->attributes)
      if (key == name) return value;
  } else if (object.is(Kind::loop)) {
    if (auto value = ofLoop(heap, *object.loop, name)) return *value;
  }
  if (hasMethod(object, name)) return method(object, name);
  if (object.is(Kind::dict))
    if (const Value *value = object.dict->find(name)) return *value;
  return heap.undefined(fmt::format("a {} has no attribute '{}'", typeName(object), name));
}

Value Evaluator::item(Value object, Value key) {
  requireDefined(object);
  if (object.is(Kind::dict)) {
    if (key.is(Kind::string)) {
      heap.spend(object.dict->items.size());
      if (const Value *value = object.dict->find(key.string())) return *value;
    } else {
      for (const auto &[name, value] : object.dict->items)
        if (equal(heap, name, key)) return value;
    }
  }
  const bool sequence =
      object.is(Kind::string) || (object.is(Kind::list) && object.list->flavor != Flavor::view &&
                                  object.list->flavor != Flavor::iterator);
  if (sequence && (key.is(Kind::integer) || key.is(Kind::boolean))) {
    int64_t index = toInteger(key, "an index");
    if (object.is(Kind::string)) heap.spend(object.string().size());
    const int64_t size =
        static_cast<int64_t>(object.is(Kind::string) ? length(object.string()) : object.list->items.size());
    if (index < 0) index += size;
    if (index < 0 || index >= size)
      return heap.undefined(
          fmt::format("a {} has no element {}", typeName(object), toInteger(key, "an index")));
    if (object.is(Kind::list)) return object.list->items[static_cast<size_t>(index)];
    return slice(heap, object, integer(index), integer(index + 1), none());
  }
  if (key.is(Kind::string) && !object.is(Kind::dict)) return attribute(object, key.string());
  if (key.is(Kind::string) && hasMethod(object, key.string())) return method(object, key.string());
  return heap.undefined(fmt::format("a {} has no element {}", typeName(object), repr(heap, key)));
}

} // namespace linnet::chat
