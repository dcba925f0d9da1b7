#include "chat/value.h"
#include "chat/callable.h"
#include "chat/text.h"
#include "tokenizer/unicode.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace linnet::chat {
namespace {

constexpr size_t kObject = 8;    ///< work of an allocation
constexpr int kMaxNesting = 100; ///< levels of lists and dicts

int depthOf(Value value) {
  if (value.is(Kind::list)) return value.list->depth;
  if (value.is(Kind::dict)) return value.dict->depth;
  return 0;
}

int depthAbove(int depth) {
  if (depth >= kMaxNesting) throw Fault{fmt::format("lists and dicts of more than {} levels", kMaxNesting)};
  return depth + 1;
}

[[noreturn]] void noOrder(Value a, Value b, const char *op) {
  throw Fault{fmt::format("'{}' between {} and {}: these types have no order", op, typeName(a), typeName(b))};
}

bool isSequence(Value value) {
  return value.is(Kind::list) && (value.list->flavor == Flavor::list || value.list->flavor == Flavor::tuple);
}

} // namespace

struct Heap::Pools {
  std::deque<Text> texts;
  std::deque<List> lists;
  std::deque<Dict> dicts;
  std::deque<Space> spaces;
  std::deque<Callable> callables;
  std::deque<Loop> loops;
};

Heap::Heap(int64_t work) : left(work), pools(std::make_unique<Pools>()) {}
Heap::~Heap() = default;

void Heap::spend(size_t work) {
  left -= static_cast<int64_t>(std::min<size_t>(work, size_t(1) << 40)); // no overflow
  if (left < 0) throw Fault{"the template takes too many steps or makes too much text"};
}

Value Heap::text(std::string bytes, bool safe) {
  spend(bytes.size() + kObject);
  Value value = ofKind(Kind::string);
  value.text = &pools->texts.emplace_back(Text{std::move(bytes), safe});
  return value;
}

Value Heap::list(std::vector<Value> items, Flavor flavor) {
  spend(items.size() * 2 + kObject);
  int depth = 0;
  for (Value item : items) depth = std::max(depth, depthOf(item));
  Value value = ofKind(Kind::list);
  value.list = &pools->lists.emplace_back(List{flavor, depthAbove(depth), std::move(items)});
  return value;
}

Value Heap::dict(std::vector<std::pair<Value, Value>> items) {
  spend(items.size() * 2 + kObject);
  int depth = 0;
  for (const auto &[key, item] : items) depth = std::max({depth, depthOf(key), depthOf(item)});
  Value value = ofKind(Kind::dict);
  value.dict = &pools->dicts.emplace_back(Dict{depthAbove(depth), std::move(items)});
  return value;
}

Value Heap::undefined(std::string reason) {
  Value value = text(std::move(reason));
  value.kind = Kind::undefined;
  return value;
}

Space *Heap::space() {
  spend(kObject);
  return &pools->spaces.emplace_back();
}

Callable *Heap::callable() {
  spend(kObject);
  return &pools->callables.emplace_back();
}

Loop *Heap::loop(std::vector<Value> items) {
  spend(items.size() + kObject);
  return &pools->loops.emplace_back(Loop{.items = std::move(items)});
}

Value Heap::fromJson(const Json &json) {
  switch (json.type()) {
  case Json::value_t::boolean:
    return boolean(json.get<bool>());
  case Json::value_t::number_integer:
    return integer(json.get<int64_t>());
  case Json::value_t::number_unsigned:
    if (json.get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
      throw Fault{"a number that is too large"};
    return integer(json.get<int64_t>());
  case Json::value_t::number_float:
    return real(json.get<double>());
  case Json::value_t::string: {
    std::string bytes;
    unicode::appendReplacing(bytes, json.get_ref<const std::string &>());
    return text(std::move(bytes));
  }
  case Json::value_t::array: {
    std::vector<Value> items;
    for (const Json &item : json) items.push_back(fromJson(item));
    return list(std::move(items));
  }
  case Json::value_t::object: {
    std::vector<std::pair<Value, Value>> items;
    for (const auto &[key, item] : json.items()) items.emplace_back(text(key), fromJson(item));
    return dict(std::move(items));
  }
  default:
    return none();
  }
}

Value ofList(const List *list) {
  Value value = ofKind(Kind::list);
  value.list = list;
  return value;
}
Value ofCallable(const Callable *callable) {
  Value value = ofKind(Kind::callable);
  value.callable = callable;
  return value;
}
Value none() { return ofKind(Kind::none); }
Value boolean(bool value) {
  Value out = ofKind(Kind::boolean);
  out.truth = value;
  return out;
}
Value integer(int64_t value) {
  Value out = ofKind(Kind::integer);
  out.integer = value;
  return out;
}
Value real(double value) {
  Value out = ofKind(Kind::real);
  out.real = value;
  return out;
}

const Value *Dict::find(std::string_view key) const {
  for (const auto &[name, value] : items)
    if (name.is(Kind::string) && name.string() == key) return &value;
  return nullptr;
}

const char *typeName(Value value) {
  constexpr const char *kNames[] = {"undefined", "None", "bool",      "int",  "float",   "str",
                                    "list",      "dict", "namespace", "loop", "function"};
  constexpr const char *kLists[] = {"list", "tuple", "range", "dict view", "iterator"};
  if (value.is(Kind::list)) return kLists[static_cast<size_t>(value.list->flavor)];
  return kNames[static_cast<size_t>(value.kind)];
}

void requireDefined(Value value) {
  if (!value.is(Kind::undefined)) return;
  throw Fault{value.text ? value.text->bytes : std::string("the value is undefined")};
}

bool truth(Value value) {
  switch (value.kind) {
  case Kind::undefined:
  case Kind::none:
    return false;
  case Kind::boolean:
    return value.truth;
  case Kind::integer:
    return value.integer != 0;
  case Kind::real:
    return value.real != 0;
  case Kind::string:
    return !value.string().empty();
  case Kind::list:
    return value.list->flavor == Flavor::iterator || !value.list->items.empty();
  case Kind::dict:
    return !value.dict->items.empty();
  default:
    return true;
  }
}

bool isNumber(Value value) {
  return value.is(Kind::integer) || value.is(Kind::real) || value.is(Kind::boolean);
}

int64_t toInteger(Value value, const char *what) {
  if (value.is(Kind::boolean)) return value.truth;
  if (value.is(Kind::integer)) return value.integer;
  requireDefined(value);
  throw Fault{fmt::format("{}: expected an int, found {}", what, typeName(value))};
}

double toReal(Value value, const char *what) {
  if (value.is(Kind::real)) return value.real;
  if (value.is(Kind::boolean)) return value.truth;
  if (value.is(Kind::integer)) return static_cast<double>(value.integer);
  requireDefined(value);
  throw Fault{fmt::format("{}: expected a number, found {}", what, typeName(value))};
}

std::string_view toText(Value value, const char *what) {
  if (value.is(Kind::string)) return value.string();
  requireDefined(value);
  throw Fault{fmt::format("{}: expected a str, found {}", what, typeName(value))};
}

bool equal(Heap &heap, Value a, Value b) {
  heap.spend(1);
  if (isNumber(a) && isNumber(b)) {
    if (a.is(Kind::real) || b.is(Kind::real)) return toReal(a, "==") == toReal(b, "==");
    return toInteger(a, "==") == toInteger(b, "==");
  }
  if (a.kind != b.kind) return false;
  switch (a.kind) {
  case Kind::undefined:
  case Kind::none:
    return true;
  case Kind::string:
    heap.spend(std::min(a.string().size(), b.string().size()));
    return a.string() == b.string();
  case Kind::list:
    if (a.list == b.list) return true;
    if (a.list->flavor != b.list->flavor || a.list->flavor == Flavor::iterator ||
        a.list->flavor == Flavor::view || a.list->items.size() != b.list->items.size())
      return false;
    for (size_t i = 0; i < a.list->items.size(); ++i)
      if (!equal(heap, a.list->items[i], b.list->items[i])) return false;
    return true;
  case Kind::dict:
    if (a.dict->items.size() != b.dict->items.size()) return false;
    for (const auto &[key, value] : a.dict->items) {
      bool found = false;
      for (const auto &[other, its] : b.dict->items)
        if (equal(heap, key, other)) {
          if (!equal(heap, value, its)) return false;
          found = true;
          break;
        }
      if (!found) return false;
    }
    return true;
  case Kind::space:
    return a.space == b.space;
  case Kind::loop:
    return a.loop == b.loop;
  default:
    return a.callable == b.callable;
  }
}

int compare(Heap &heap, Value a, Value b, const char *op) {
  heap.spend(1);
  requireDefined(a);
  requireDefined(b);
  if (isNumber(a) && isNumber(b)) {
    if (a.is(Kind::real) || b.is(Kind::real)) {
      double x = toReal(a, op), y = toReal(b, op);
      if (std::isnan(x) || std::isnan(y)) throw Fault{"an order of NaN"};
      return (x > y) - (x < y);
    }
    int64_t x = toInteger(a, op), y = toInteger(b, op);
    return (x > y) - (x < y);
  }
  if (a.is(Kind::string) && b.is(Kind::string)) {
    heap.spend(std::min(a.string().size(), b.string().size()));
    return a.string().compare(b.string());
  }
  if (!isSequence(a) || !isSequence(b) || a.list->flavor != b.list->flavor) noOrder(a, b, op);
  const auto &x = a.list->items, &y = b.list->items;
  for (size_t i = 0; i < std::min(x.size(), y.size()); ++i)
    if (!equal(heap, x[i], y[i])) return compare(heap, x[i], y[i], op);
  return (x.size() > y.size()) - (x.size() < y.size());
}

bool contains(Heap &heap, Value container, Value item) {
  if (container.is(Kind::string)) {
    if (!item.is(Kind::string))
      throw Fault{fmt::format("'in' a str: expected a str before 'in', found {}", typeName(item))};
    heap.spend(container.string().size());
    return container.string().find(item.string()) != std::string_view::npos;
  }
  if (container.is(Kind::dict) && (item.is(Kind::list) || item.is(Kind::dict)))
    throw Fault{fmt::format("'in' a dict: a {} cannot be a key", typeName(item))};
  for (Value element : elements(heap, container))
    if (equal(heap, element, item)) return true;
  return false;
}

std::vector<Value> elements(Heap &heap, Value value) {
  std::vector<Value> out;
  if (value.is(Kind::list)) {
    const List &list = *value.list;
    if (list.flavor != Flavor::iterator) return heap.spend(list.items.size() + 1), list.items;
    if (!std::exchange(list.consumed, true)) out = list.items;
  } else if (value.is(Kind::dict)) {
    for (const auto &[key, item] : value.dict->items) out.push_back(key);
  } else if (value.is(Kind::string)) {
    heap.spend(value.string().size());
    for (std::string_view character : characters(value.string()))
      out.push_back(heap.text(std::string(character)));
  } else if (!value.is(Kind::undefined)) {
    throw Fault{fmt::format("expected a list, a dict or a str, found {}", typeName(value))};
  }
  heap.spend(out.size() + 1);
  return out;
}

void assign(Heap &heap, std::vector<std::pair<Value, Value>> &items, Value key, Value value) {
  if ((key.is(Kind::list) && key.list->flavor != Flavor::tuple) || key.is(Kind::dict))
    throw Fault{fmt::format("a {} cannot be a key of a dict", typeName(key))};
  for (auto &[name, old] : items)
    if (equal(heap, name, key)) return void(old = value);
  items.emplace_back(key, value);
}

} // namespace linnet::chat
