// Arguments, functions and tests.
#include "chat/arguments.h"
#include "chat/evaluator.h"
#include "chat/text.h"

#include <algorithm>
#include <fmt/format.h>

namespace linnet::chat {
namespace {

constexpr int64_t kMaxRange = 100'000; ///< as Jinja2's sandbox

Value range(Evaluator &evaluator, const Arguments &arguments) {
  Bound bound(arguments, "range", {"start", "stop", "step"}, 1);
  const int64_t first = toInteger(bound[0], "range");
  const int64_t begin = bound.has(1) ? first : 0, end = bound.has(1) ? toInteger(bound[1], "range") : first;
  const int64_t step = bound.has(2) ? toInteger(bound[2], "range") : 1;
  if (step == 0) throw Fault{"range: the step is 0"};
  std::vector<Value> items;
  for (int64_t i = begin; step > 0 ? i < end : i > end;) {
    if (static_cast<int64_t>(items.size()) == kMaxRange)
      throw Fault{fmt::format("range: more than {} elements", kMaxRange)};
    items.push_back(integer(i));
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  return evaluator.heap.list(std::move(items), Flavor::range);
}

/// The entries of dict(...) and namespace(...): those of a dict, then the named arguments.
std::vector<std::pair<Value, Value>> entries(Evaluator &evaluator, std::string_view what,
                                             const Arguments &arguments) {
  std::vector<std::pair<Value, Value>> items;
  if (arguments.values.size() > 1)
    throw Fault{fmt::format("{}: expected at most one argument without a name", what)};
  for (Value value : arguments.values) {
    if (!value.is(Kind::dict))
      throw Fault{fmt::format("{}: expected a dict, found {}", what, typeName(value))};
    items = value.dict->items;
  }
  for (const auto &[name, value] : arguments.named)
    assign(evaluator.heap, items, evaluator.heap.text(std::string(name)), value);
  return items;
}

Value makeSpace(Evaluator &evaluator, const Arguments &arguments) {
  Value value = ofKind(Kind::space);
  value.space = evaluator.heap.space();
  for (const auto &[name, item] : entries(evaluator, "namespace", arguments))
    value.space->attributes.emplace_back(toText(name, "namespace"), item);
  return value;
}

Value now(Evaluator &evaluator, const Arguments &arguments) {
  Bound bound(arguments, "strftime_now", {"format"}, 1);
  constexpr size_t kLongestFormat = 200, kLongestText = 4096;
  std::string format(toText(bound[0], "strftime_now"));
  if (format.size() > kLongestFormat || format.find('\0') != format.npos || format.find("%f") != format.npos)
    throw Fault{"strftime_now: the format is too long or has '%f', which is not supported"};
  std::string text(kLongestText, '\0');
  text.resize(std::strftime(text.data(), text.size(), format.c_str(), &evaluator.now));
  return evaluator.heap.text(std::move(text));
}

bool isEven(Value value) { return toInteger(value, "even") % 2 == 0; }

bool isCased(Heap &heap, Value value, bool upper_case) {
  std::string_view text = toText(value, upper_case ? "upper" : "lower");
  heap.spend(4 * text.size());
  return text == (upper_case ? upper(text) : lower(text)) && upper(text) != lower(text);
}

struct Test {
  std::string_view name;
  size_t arguments; ///< 0 or 1
  bool (*holds)(Evaluator &, Value value, Value argument);
};

#define LINNET_TEST(expression) [](Evaluator &e, Value v, Value a) -> bool { return expression; }
constexpr Test kTests[] = {
    {"defined", 0, LINNET_TEST(!v.is(Kind::undefined))},
    {"undefined", 0, LINNET_TEST(v.is(Kind::undefined))},
    {"none", 0, LINNET_TEST(v.is(Kind::none))},
    {"boolean", 0, LINNET_TEST(v.is(Kind::boolean))},
    {"true", 0, LINNET_TEST(v.is(Kind::boolean) && v.truth)},
    {"false", 0, LINNET_TEST(v.is(Kind::boolean) && !v.truth)},
    {"integer", 0, LINNET_TEST(v.is(Kind::integer))},
    {"float", 0, LINNET_TEST(v.is(Kind::real))},
    {"number", 0, LINNET_TEST(isNumber(v))},
    {"string", 0, LINNET_TEST(v.is(Kind::string))},
    {"mapping", 0, LINNET_TEST(v.is(Kind::dict))},
    {"iterable", 0,
     LINNET_TEST(v.is(Kind::list) || v.is(Kind::dict) || v.is(Kind::string) || v.is(Kind::undefined) ||
                 v.is(Kind::loop))},
    {"sequence", 0,
     LINNET_TEST((v.is(Kind::list) && v.list->flavor != Flavor::iterator && v.list->flavor != Flavor::view) ||
                 v.is(Kind::dict) || v.is(Kind::string) || v.is(Kind::undefined))},
    {"callable", 0, LINNET_TEST(v.is(Kind::callable) || v.is(Kind::undefined) || v.is(Kind::loop))},
    {"even", 0, LINNET_TEST(isEven(v))},
    {"odd", 0, LINNET_TEST(!isEven(v))},
    {"upper", 0, LINNET_TEST(isCased(e.heap, v, true))},
    {"lower", 0, LINNET_TEST(isCased(e.heap, v, false))},
    {"divisibleby", 1, LINNET_TEST(!truth(arithmetic(e.heap, ExprKind::modulo, v, a)))},
    {"in", 1, LINNET_TEST(contains(e.heap, a, v))},
    {"sameas", 1,
     LINNET_TEST(v.kind == a.kind && (v.is(Kind::none) || v.is(Kind::boolean)) && equal(e.heap, v, a))},
    {"eq", 1, LINNET_TEST(equal(e.heap, v, a))},
    {"equalto", 1, LINNET_TEST(equal(e.heap, v, a))},
    {"ne", 1, LINNET_TEST(!equal(e.heap, v, a))},
    {"lt", 1, LINNET_TEST(compare(e.heap, v, a, "<") < 0)},
    {"lessthan", 1, LINNET_TEST(compare(e.heap, v, a, "<") < 0)},
    {"le", 1, LINNET_TEST(compare(e.heap, v, a, "<=") <= 0)},
    {"gt", 1, LINNET_TEST(compare(e.heap, v, a, ">") > 0)},
    {"greaterthan", 1, LINNET_TEST(compare(e.heap, v, a, ">") > 0)},
    {"ge", 1, LINNET_TEST(compare(e.heap, v, a, ">=") >= 0)},
};
#undef LINNET_TEST

const Test *testNamed(std::string_view name) {
  auto found =
      std::find_if(std::begin(kTests), std::end(kTests), [&](const Test &test) { return test.name == name; });
  return found == std::end(kTests) ? nullptr : found;
}

} // namespace

Bound::Bound(const Arguments &arguments, std::string_view what,
             std::initializer_list<std::string_view> parameters, size_t required)
    : values(parameters.size()) {
  if (arguments.values.size() > parameters.size())
    throw Fault{fmt::format("{}: expected at most {} arguments, found {}", what, parameters.size(),
                            arguments.values.size())};
  for (size_t i = 0; i < arguments.values.size(); ++i) values[i] = arguments.values[i];
  for (const auto &[name, value] : arguments.named) {
    auto found = std::find(parameters.begin(), parameters.end(), name);
    if (found == parameters.end()) throw Fault{fmt::format("{} has no parameter '{}'", what, name)};
    std::optional<Value> &slot = values[static_cast<size_t>(found - parameters.begin())];
    if (slot) throw Fault{fmt::format("{}: '{}' is given twice", what, name)};
    slot = value;
  }
  for (size_t i = 0; i < required; ++i)
    if (!values[i]) throw Fault{fmt::format("{}: expected a value for '{}'", what, parameters.begin()[i])};
}

bool isFunction(std::string_view name) {
  return name == "range" || name == "namespace" || name == "dict" || name == "raise_exception" ||
         name == "strftime_now";
}

Value callFunction(Evaluator &evaluator, std::string_view name, const Arguments &arguments) {
  if (name == "range") return range(evaluator, arguments);
  if (name == "namespace") return makeSpace(evaluator, arguments);
  if (name == "dict") return evaluator.heap.dict(entries(evaluator, "dict", arguments));
  if (name == "strftime_now") return now(evaluator, arguments);
  Bound bound(arguments, "raise_exception", {"message"}, 1);
  throw Fault{"the template rejects the conversation: " + str(evaluator.heap, bound[0])};
}

bool isTest(std::string_view name) { return testNamed(name) != nullptr; }

bool applyTest(Evaluator &evaluator, std::string_view name, Value input, const Arguments &arguments) {
  const Test &test = *testNamed(name);
  if (arguments.values.size() != test.arguments || !arguments.named.empty())
    throw Fault{fmt::format("test '{}': expected {} arguments, found {}", name, test.arguments,
                            arguments.values.size() + arguments.named.size())};
  return test.holds(evaluator, input, test.arguments ? arguments.values[0] : none());
}

} // namespace linnet::chat
