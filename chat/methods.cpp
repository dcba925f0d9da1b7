// Methods of strings, lists, dicts and loops.
#include "chat/arguments.h"
#include "chat/evaluator.h"
#include "chat/text.h"

#include <algorithm>
#include <fmt/format.h>

namespace linnet::chat {
namespace {

constexpr std::string_view kStringMethods[] = {
    "strip",    "lstrip", "rstrip",       "split",        "rsplit",    "splitlines", "startswith",
    "endswith", "upper",  "lower",        "capitalize",   "replace",   "find",       "rfind",
    "count",    "join",   "removeprefix", "removesuffix", "partition", "rpartition"};
constexpr std::string_view kDictMethods[] = {"get", "items", "keys", "values"};
constexpr std::string_view kListMethods[] = {"index", "count"};
/// Methods that change a value. The sandbox of transformers refuses them when they are called.
constexpr std::string_view kMutating[] = {"append", "extend",     "insert",  "remove", "pop",    "clear",
                                          "update", "setdefault", "popitem", "sort",   "reverse"};

template <size_t N> bool among(const std::string_view (&names)[N], std::string_view name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

class StringMethod {
public:
  StringMethod(Evaluator &evaluator, Value object, std::string_view name, const Arguments &arguments)
      : heap(evaluator.heap), object(object), text(object.string()), name(name), arguments(arguments) {}

  Value run() {
    heap.spend(text.size());
    if (object.text->safe) throw Fault{fmt::format("method '{}' of a safe str is not supported", name)};
    if (name == "strip" || name == "lstrip" || name == "rstrip") return strip();
    if (name == "split" || name == "rsplit") return split();
    if (name == "splitlines") {
      Bound bound(arguments, name, {"keepends"});
      return listOf(lines(text, bound.flag(0)));
    }
    if (name == "startswith" || name == "endswith") return boolean(affix());
    if (name == "upper") return none(name), heap.text(upper(text));
    if (name == "lower") return none(name), heap.text(lower(text));
    if (name == "capitalize") return none(name), heap.text(capitalized(text));
    if (name == "replace") return replace();
    if (name == "find" || name == "rfind") return find();
    if (name == "count") return count();
    if (name == "join") return join();
    if (name == "partition" || name == "rpartition") return partition();
    return removeAffix();
  }

private:
  void none(std::string_view what) { Bound(arguments, what, {}); }
  std::string_view only(std::string_view parameter) {
    Bound bound(arguments, name, {parameter}, 1);
    return toText(bound[0], std::string(name).c_str());
  }
  Value textOf(std::string_view part) { return heap.text(std::string(part)); }
  Value listOf(const std::vector<std::string_view> &parts, Flavor flavor = Flavor::list) {
    std::vector<Value> items;
    for (std::string_view part : parts) items.push_back(textOf(part));
    return heap.list(std::move(items), flavor);
  }

  Value strip() {
    Bound bound(arguments, name, {"chars"});
    const bool left = name != "rstrip", right = name != "lstrip";
    if (!bound.given(0)) return textOf(stripped(text, left, right));
    std::string_view set = toText(bound[0], "strip");
    heap.spend(set.size() * std::min<size_t>(text.size() + 1, 1 << 20));
    return textOf(stripped(text, set, left, right));
  }

  Value split() {
    Bound bound(arguments, name, {"sep", "maxsplit"});
    const int64_t most = bound.has(1) ? toInteger(bound[1], "split") : -1;
    const bool reverse = name == "rsplit";
    if (!bound.given(0)) return listOf(splitAtSpace(text, most, reverse));
    std::string_view separator = toText(bound[0], "split");
    if (separator.empty()) throw Fault{"split: the separator is empty"};
    return listOf(splitAt(text, separator, most, reverse));
  }

  bool affix() {
    Bound bound(arguments, name, {name == "startswith" ? "prefix" : "suffix"}, 1);
    std::vector<Value> choices{bound[0]};
    if (bound[0].is(Kind::list) && bound[0].list->flavor == Flavor::tuple) choices = bound[0].list->items;
    return std::any_of(choices.begin(), choices.end(), [&](Value choice) {
      std::string_view part = toText(choice, std::string(name).c_str());
      return name == "startswith" ? text.starts_with(part) : text.ends_with(part);
    });
  }

  Value replace() {
    Bound bound(arguments, name, {"old", "new", "count"}, 2);
    const int64_t most = bound.has(2) ? toInteger(bound[2], "replace") : -1;
    return replacedValue(heap, text, toText(bound[0], "replace"), toText(bound[1], "replace"), most);
  }

  Value find() {
    std::string_view part = only("sub");
    size_t at = name == "find" ? text.find(part) : text.rfind(part);
    return integer(at == text.npos ? -1 : static_cast<int64_t>(length(text.substr(0, at))));
  }

  Value count() {
    std::string_view part = only("sub");
    if (part.empty()) return integer(static_cast<int64_t>(length(text)) + 1);
    return integer(static_cast<int64_t>(splitAt(text, part, -1, false).size()) - 1);
  }

  Value join() {
    Bound bound(arguments, name, {"iterable"}, 1);
    requireDefined(bound[0]);
    std::string out;
    bool first = true;
    for (Value item : elements(heap, bound[0])) {
      if (!std::exchange(first, false)) out += text;
      out += toText(item, "join");
      heap.spend(text.size() + item.string().size());
    }
    return heap.text(std::move(out));
  }

  Value partition() {
    std::string_view separator = only("sep");
    if (separator.empty()) throw Fault{"partition: the separator is empty"};
    const bool reverse = name == "rpartition";
    size_t at = reverse ? text.rfind(separator) : text.find(separator);
    if (at == text.npos)
      return reverse ? listOf({"", "", text}, Flavor::tuple) : listOf({text, "", ""}, Flavor::tuple);
    return listOf({text.substr(0, at), separator, text.substr(at + separator.size())}, Flavor::tuple);
  }

  Value removeAffix() {
    const bool prefix = name == "removeprefix";
    std::string_view part = only(prefix ? "prefix" : "suffix");
    if (prefix && text.starts_with(part)) return textOf(text.substr(part.size()));
    if (!prefix && text.ends_with(part)) return textOf(text.substr(0, text.size() - part.size()));
    return object;
  }

  Heap &heap;
  Value object;
  std::string_view text, name;
  const Arguments &arguments;
};

Value ofDict(Evaluator &evaluator, const Dict &dict, std::string_view name, const Arguments &arguments) {
  Heap &heap = evaluator.heap;
  if (name == "get") {
    Bound bound(arguments, name, {"key", "default"}, 1);
    for (const auto &[key, value] : dict.items)
      if (equal(heap, key, bound[0])) return value;
    return bound.get(1, none());
  }
  Bound(arguments, name, {});
  std::vector<Value> items;
  for (const auto &[key, value] : dict.items)
    items.push_back(name == "keys" ? key : name == "values" ? value : heap.list({key, value}, Flavor::tuple));
  return heap.list(std::move(items), Flavor::view);
}

Value ofList(Evaluator &evaluator, const List &list, std::string_view name, const Arguments &arguments) {
  Bound bound(arguments, name, {"value"}, 1);
  int64_t count = 0;
  for (size_t i = 0; i < list.items.size(); ++i) {
    if (!equal(evaluator.heap, list.items[i], bound[0])) continue;
    if (name == "index") return integer(static_cast<int64_t>(i));
    ++count;
  }
  if (name == "index") throw Fault{"index: the list does not have the value"};
  return integer(count);
}

} // namespace

Value replacedValue(Heap &heap, std::string_view text, std::string_view from, std::string_view to,
                    int64_t count) {
  const size_t places = from.empty() ? text.size() + 1 : text.size() / from.size();
  size_t growth = 0; // at most, before memory is allocated
  if (to.size() > from.size() && __builtin_mul_overflow(places, to.size() - from.size(), &growth))
    throw Fault{"replace: too much text"};
  if (!from.empty() && growth > text.size()) // count the places
    growth = splitAt(text, from, -1, false).size() * (to.size() - from.size());
  heap.spend(text.size() + growth);
  return heap.text(replaced(text, from, to, count));
}

bool isMethod(std::string_view name) {
  return among(kStringMethods, name) || among(kDictMethods, name) || among(kListMethods, name) ||
         among(kMutating, name);
}

bool hasMethod(Value value, std::string_view name) {
  if (value.is(Kind::string)) return among(kStringMethods, name);
  if (value.is(Kind::dict)) return among(kDictMethods, name);
  return value.is(Kind::list) && value.list->flavor != Flavor::view &&
         value.list->flavor != Flavor::iterator && among(kListMethods, name);
}

Value callMethod(Evaluator &evaluator, Value object, std::string_view name, const Arguments &arguments) {
  if (object.is(Kind::string)) return StringMethod(evaluator, object, name, arguments).run();
  if (object.is(Kind::dict)) return ofDict(evaluator, *object.dict, name, arguments);
  return ofList(evaluator, *object.list, name, arguments);
}

} // namespace linnet::chat
