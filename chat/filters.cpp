// Filters.
#include "chat/arguments.h"
#include "chat/evaluator.h"
#include "chat/nesting.h"
#include "chat/text.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fmt/format.h>

namespace linnet::chat {
namespace {

using Items = std::vector<Value>;

/// Follows "a.0.b", or one item by number.
Value follow(Evaluator &e, Value value, Value path) {
  if (path.is(Kind::integer)) return e.item(value, path);
  for (std::string_view part : splitAt(toText(path, "an attribute"), ".", -1, false)) {
    int64_t index = 0;
    auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), index);
    const bool number =
        !part.empty() && part[0] != '-' && error == std::errc() && end == part.data() + part.size();
    value = e.item(value, number ? integer(index) : e.heap.text(std::string(part)));
  }
  return value;
}

Value folded(Evaluator &e, Value value, bool case_sensitive) {
  return value.is(Kind::string) && !case_sensitive ? e.heap.text(lower(value.string())) : value;
}

/// The values that sort, min, max and unique compare.
Items keysOf(Evaluator &e, const Items &items, bool case_sensitive, const Bound &bound, size_t attribute) {
  Items keys;
  for (Value item : items)
    keys.push_back(
        folded(e, bound.given(attribute) ? follow(e, item, bound[attribute]) : item, case_sensitive));
  return keys;
}

/// A stable order of the keys' indices. std::stable_sort would need an order without exceptions.
std::vector<size_t> order(Evaluator &e, const Items &keys, bool reverse) {
  std::vector<size_t> indices(keys.size()), merged(keys.size());
  for (size_t i = 0; i < keys.size(); ++i) indices[i] = i;
  for (size_t width = 1; width < keys.size(); width *= 2) {
    for (size_t begin = 0; begin < keys.size(); begin += 2 * width) {
      const size_t middle = std::min(begin + width, keys.size()),
                   end = std::min(begin + 2 * width, keys.size());
      for (size_t a = begin, b = middle, to = begin; to < end; ++to) {
        bool second = a == middle;
        if (!second && b < end) {
          int sign = compare(e.heap, keys[indices[b]], keys[indices[a]], "<");
          second = reverse ? sign > 0 : sign < 0;
        }
        merged[to] = indices[second ? b++ : a++];
      }
    }
    std::swap(indices, merged);
  }
  return indices;
}

Value sort(Evaluator &e, Value input, const Arguments &arguments) {
  Bound bound(arguments, "sort", {"reverse", "case_sensitive", "attribute"});
  Items items = elements(e.heap, input), out;
  for (size_t i : order(e, keysOf(e, items, bound.flag(1), bound, 2), bound.flag(0))) out.push_back(items[i]);
  return e.heap.list(std::move(out));
}

Value dictsort(Evaluator &e, Value input, const Arguments &arguments) {
  Bound bound(arguments, "dictsort", {"case_sensitive", "by", "reverse"});
  if (!input.is(Kind::dict)) throw Fault{fmt::format("dictsort: expected a dict, found {}", typeName(input))};
  const bool by_value = bound.has(1) && toText(bound[1], "dictsort") == "value";
  Items keys, out;
  for (const auto &[key, value] : input.dict->items)
    keys.push_back(folded(e, by_value ? value : key, bound.flag(0)));
  for (size_t i : order(e, keys, bound.flag(2)))
    out.push_back(e.heap.list({input.dict->items[i].first, input.dict->items[i].second}, Flavor::tuple));
  return e.heap.list(std::move(out));
}

template <bool kMost> Value extreme(Evaluator &e, Value input, const Arguments &arguments) {
  Bound bound(arguments, kMost ? "max" : "min", {"case_sensitive", "attribute"});
  Items items = elements(e.heap, input);
  if (items.empty()) return e.heap.undefined("the list is empty");
  Items keys = keysOf(e, items, bound.flag(0), bound, 1);
  size_t best = 0;
  for (size_t i = 1; i < keys.size(); ++i)
    if (int sign = compare(e.heap, keys[i], keys[best], "<"); kMost ? sign > 0 : sign < 0) best = i;
  return items[best];
}

Value unique(Evaluator &e, Value input, const Arguments &arguments) {
  Bound bound(arguments, "unique", {"case_sensitive", "attribute"});
  Items items = elements(e.heap, input), keys = keysOf(e, items, bound.flag(0), bound, 1), seen, out;
  for (size_t i = 0; i < items.size(); ++i) {
    if (std::any_of(seen.begin(), seen.end(), [&](Value key) { return equal(e.heap, key, keys[i]); }))
      continue;
    seen.push_back(keys[i]);
    out.push_back(items[i]);
  }
  return e.heap.list(std::move(out), Flavor::iterator);
}

Value sum(Evaluator &e, Value input, const Arguments &arguments) {
  Bound bound(arguments, "sum", {"attribute", "start"});
  Value total = bound.get(1, integer(0));
  for (Value item : elements(e.heap, input))
    total = add(e.heap, total, bound.given(0) ? follow(e, item, bound[0]) : item);
  return total;
}

/// The arguments from `first` on, for a filter or test that is an argument.
Arguments rest(const Arguments &arguments, size_t first) {
  Arguments out;
  out.values.assign(arguments.values.begin() +
                        static_cast<std::ptrdiff_t>(std::min(first, arguments.values.size())),
                    arguments.values.end());
  out.named = arguments.named;
  return out;
}

Value map(Evaluator &e, Value input, const Arguments &arguments) {
  Items out;
  if (!truth(input)) return e.heap.list({}, Flavor::iterator); // None, too
  if (arguments.values.empty()) {
    Bound bound(arguments, "map", {"attribute", "default"}, 1);
    for (Value item : elements(e.heap, input)) {
      Value found = follow(e, item, bound[0]);
      out.push_back(found.is(Kind::undefined) && bound.has(1) ? bound[1] : found);
    }
  } else {
    std::string_view name = toText(arguments.values[0], "map");
    if (!isFilter(name)) throw Fault{fmt::format("map: filter '{}' is not supported", name)};
    for (Value item : elements(e.heap, input)) out.push_back(applyFilter(e, name, item, rest(arguments, 1)));
  }
  return e.heap.list(std::move(out), Flavor::iterator);
}

template <bool kKeep, bool kAttribute> Value select(Evaluator &e, Value input, const Arguments &arguments) {
  if (kAttribute && arguments.values.empty()) throw Fault{"selectattr: expected the name of an attribute"};
  const size_t test = kAttribute ? 1 : 0;
  const bool tests = arguments.values.size() > test;
  std::string_view name = tests ? toText(arguments.values[test], "select") : "";
  if (tests && !isTest(name)) throw Fault{fmt::format("select: test '{}' is not supported", name)};
  Items out;
  if (!truth(input)) return e.heap.list({}, Flavor::iterator); // None, too
  for (Value item : elements(e.heap, input)) {
    Value value = kAttribute ? follow(e, item, arguments.values[0]) : item;
    if ((tests ? applyTest(e, name, value, rest(arguments, test + 1)) : truth(value)) == kKeep)
      out.push_back(item);
  }
  return e.heap.list(std::move(out), Flavor::iterator);
}

Value replace(Evaluator &e, Value input, const Arguments &arguments) {
  Bound bound(arguments, "replace", {"old", "new", "count"}, 2);
  const int64_t count = bound.given(2) ? toInteger(bound[2], "replace") : -1;
  return replacedValue(e.heap, str(e.heap, input), str(e.heap, bound[0]), str(e.heap, bound[1]), count);
}

Value join(Evaluator &e, Value input, const Arguments &arguments) {
  Bound bound(arguments, "join", {"d", "attribute"});
  const std::string separator = bound.has(0) ? str(e.heap, bound[0]) : "";
  std::string out;
  bool first = true;
  for (Value item : elements(e.heap, input)) {
    if (!std::exchange(first, false)) out += separator;
    out += str(e.heap, bound.given(1) ? follow(e, item, bound[1]) : item);
    e.heap.spend(separator.size());
  }
  return e.heap.text(std::move(out));
}

Value first(Evaluator &e, Value input, const Arguments &arguments) {
  Bound(arguments, "first", {});
  Items items = elements(e.heap, input);
  return items.empty() ? e.heap.undefined("there is no first item: the list is empty") : items.front();
}

void requireNoIterator(Value value, const char *what) {
  if (value.is(Kind::list) && value.list->flavor == Flavor::iterator)
    throw Fault{fmt::format("{}: expected a list, found an iterator: use the filter 'list' first", what)};
}

Value last(Evaluator &e, Value input, const Arguments &arguments) {
  Bound(arguments, "last", {});
  requireNoIterator(input, "last");
  Items items = elements(e.heap, input);
  return items.empty() ? e.heap.undefined("there is no last item: the list is empty") : items.back();
}

Value count(Evaluator &e, Value input, const Arguments &arguments) {
  Bound(arguments, "length", {});
  requireNoIterator(input, "length");
  if (input.is(Kind::string)) {
    e.heap.spend(input.string().size());
    return integer(static_cast<int64_t>(length(input.string())));
  }
  return integer(static_cast<int64_t>(elements(e.heap, input).size()));
}

Value reverse(Evaluator &e, Value input, const Arguments &arguments) {
  Bound(arguments, "reverse", {});
  requireDefined(input);
  Items items = elements(e.heap, input);
  std::reverse(items.begin(), items.end());
  if (input.is(Kind::string)) {
    std::string out;
    for (Value character : items) out += character.string();
    return e.heap.text(std::move(out));
  }
  const bool iterator = input.is(Kind::list) && input.list->flavor == Flavor::iterator;
  return e.heap.list(std::move(items), iterator ? Flavor::list : Flavor::iterator);
}

Value items(Evaluator &e, Value input, const Arguments &arguments) {
  Bound(arguments, "items", {});
  if (input.is(Kind::undefined)) return e.heap.list({}, Flavor::iterator);
  if (!input.is(Kind::dict)) throw Fault{fmt::format("items: expected a dict, found {}", typeName(input))};
  Items out;
  for (const auto &[key, value] : input.dict->items) out.push_back(e.heap.list({key, value}, Flavor::tuple));
  return e.heap.list(std::move(out), Flavor::iterator);
}

Value fallback(Evaluator &e, Value input, const Arguments &arguments) {
  Bound bound(arguments, "default", {"default_value", "boolean"});
  const bool absent = input.is(Kind::undefined) || (bound.flag(1) && !truth(input));
  if (!absent) return input;
  return bound.has(0) ? bound[0] : e.heap.text("");
}

Value trim(Evaluator &e, Value input, const Arguments &arguments) {
  Bound bound(arguments, "trim", {"chars"});
  const std::string text = str(e.heap, input);
  const bool safe = input.is(Kind::string) && input.text->safe;
  if (!bound.given(0)) return e.heap.text(std::string(stripped(text, true, true)), safe);
  std::string_view set = toText(bound[0], "trim");
  e.heap.spend(set.size() * std::min<size_t>(text.size() + 1, 1 << 20));
  return e.heap.text(std::string(stripped(text, set, true, true)), safe);
}

template <std::string (*kConvert)(std::string_view)>
Value converted(Evaluator &e, Value input, const Arguments &arguments) {
  Bound(arguments, "a filter of case", {});
  return e.heap.text(kConvert(str(e.heap, input)), input.is(Kind::string) && input.text->safe);
}

Value indent(Evaluator &e, Value input, const Arguments &arguments) {
  Bound bound(arguments, "indent", {"width", "first", "blank"});
  std::string indentation(4, ' ');
  if (bound.has(0) && bound[0].is(Kind::string)) {
    indentation = bound[0].string();
  } else if (bound.has(0)) {
    const int64_t width = std::max<int64_t>(toInteger(bound[0], "indent"), 0);
    e.heap.spend(static_cast<size_t>(width));
    indentation.assign(static_cast<size_t>(width), ' ');
  }
  const std::string text = std::string(toText(input, "indent")) + "\n";
  std::string out;
  bool begin = true;
  for (std::string_view line : lines(text, false)) {
    if (!begin) out += '\n';
    const bool indented = begin ? bound.flag(1) : !line.empty() || bound.flag(2);
    if (indented) out += indentation;
    e.heap.spend(line.size() + indentation.size());
    out += line;
    begin = false;
  }
  return e.heap.text(std::move(out));
}

Value toJson(Evaluator &e, Value input, const Arguments &arguments) {
  Bound bound(arguments, "tojson", {"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonOptions options{.ascii = bound.flag(0), .sorted = bound.flag(3)};
  if (bound.given(1)) {
    options.multiline = true;
    options.item_separator = ",";
    if (bound[1].is(Kind::string)) {
      options.indent = bound[1].string();
    } else {
      const int64_t width = std::max<int64_t>(toInteger(bound[1], "tojson"), 0);
      e.heap.spend(static_cast<size_t>(width));
      options.indent.assign(static_cast<size_t>(width), ' ');
    }
  }
  if (bound.given(2)) {
    Items pair = elements(e.heap, bound[2]);
    if (pair.size() != 2) throw Fault{"tojson: expected two separators"};
    options.item_separator = toText(pair[0], "tojson");
    options.key_separator = toText(pair[1], "tojson");
  }
  return e.heap.text(dumps(e.heap, input, options));
}

double parsedReal(std::string_view text, bool &ok) {
  text = stripped(text, true, true);
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  ok = error == std::errc() && end == text.data() + text.size() && !text.empty();
  return value;
}

Value toInt(Evaluator &e, Value input, const Arguments &arguments) {
  Bound bound(arguments, "int", {"default"});
  requireDefined(input);
  if (input.is(Kind::string)) e.heap.spend(input.string().size());
  if (input.is(Kind::integer) || input.is(Kind::boolean)) return integer(toInteger(input, "int"));
  bool ok = isNumber(input);
  double value = ok ? toReal(input, "int") : input.is(Kind::string) ? parsedReal(input.string(), ok) : 0;
  if (input.is(Kind::string)) { // exact if it is whole
    std::string_view text = stripped(input.string(), true, true);
    if (text.starts_with('+')) text.remove_prefix(1);
    int64_t whole = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), whole);
    if (error == std::errc() && end == text.data() + text.size()) return integer(whole);
  }
  if (!ok || !std::isfinite(value)) return bound.get(0, integer(0));
  constexpr double kLimit = 9.2e18;
  if (std::abs(value) > kLimit) throw Fault{"int: a number that is too large"};
  return integer(static_cast<int64_t>(value));
}

Value toFloat(Evaluator &e, Value input, const Arguments &arguments) {
  Bound bound(arguments, "float", {"default"});
  requireDefined(input);
  if (input.is(Kind::string)) e.heap.spend(input.string().size());
  bool ok = isNumber(input);
  double value = ok ? toReal(input, "float") : input.is(Kind::string) ? parsedReal(input.string(), ok) : 0;
  return ok ? real(value) : bound.get(0, real(0));
}

Value absolute(Evaluator &e, Value input, const Arguments &arguments) {
  Bound(arguments, "abs", {});
  if (input.is(Kind::real)) return real(std::abs(input.real));
  Value value = integer(toInteger(input, "abs"));
  return value.integer < 0 ? negated(value) : value;
}

Value rounded(Evaluator &e, Value input, const Arguments &arguments) {
  Bound bound(arguments, "round", {"precision", "method"});
  constexpr int64_t kMostDigits = 15;
  const int64_t digits = bound.has(0) ? toInteger(bound[0], "round") : 0;
  std::string_view method = bound.has(1) ? toText(bound[1], "round") : "common";
  const double value = toReal(input, "round");
  if (digits < 0 || digits > kMostDigits || !std::isfinite(value))
    throw Fault{"round: expected a finite number and 0 to 15 digits"};
  const double scale = std::pow(10.0, static_cast<double>(digits));
  if (method == "ceil") return real(std::ceil(value * scale) / scale);
  if (method == "floor") return real(std::floor(value * scale) / scale);
  if (method != "common") throw Fault{"round: expected method common, ceil or floor"};
  if (!input.is(Kind::real)) return integer(toInteger(input, "round"));
  bool ok = false;
  return real(parsedReal(fmt::format("{:.{}f}", value, digits), ok));
}

Value safe(Evaluator &e, Value input, const Arguments &arguments) {
  Bound(arguments, "safe", {});
  return e.heap.text(str(e.heap, input), true);
}

Value escape(Evaluator &e, Value input, const Arguments &arguments) {
  Bound(arguments, "escape", {});
  if (input.is(Kind::string) && input.text->safe) return input;
  std::string out;
  for (char c : str(e.heap, input)) {
    constexpr std::pair<char, const char *> kEntities[] = {
        {'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'\'', "&#39;"}, {'"', "&#34;"}};
    auto found = std::find_if(std::begin(kEntities), std::end(kEntities),
                              [&](auto entity) { return entity.first == c; });
    if (found == std::end(kEntities))
      out += c;
    else
      out += found->second;
  }
  return e.heap.text(std::move(out), true);
}

Value toList(Evaluator &e, Value input, const Arguments &arguments) {
  Bound(arguments, "list", {});
  return e.heap.list(elements(e.heap, input));
}

Value toString(Evaluator &e, Value input, const Arguments &arguments) {
  Bound(arguments, "string", {});
  return input.is(Kind::string) ? input : e.heap.text(str(e.heap, input));
}

struct Filter {
  std::string_view name;
  Value (*apply)(Evaluator &, Value, const Arguments &);
};
constexpr Filter kFilters[] = {
    {"abs", absolute},
    {"capitalize", converted<capitalized>},
    {"count", count},
    {"d", fallback},
    {"default", fallback},
    {"dictsort", dictsort},
    {"e", escape},
    {"escape", escape},
    {"first", first},
    {"float", toFloat},
    {"indent", indent},
    {"int", toInt},
    {"items", items},
    {"join", join},
    {"last", last},
    {"length", count},
    {"list", toList},
    {"lower", converted<lower>},
    {"map", map},
    {"max", extreme<true>},
    {"min", extreme<false>},
    {"reject", select<false, false>},
    {"rejectattr", select<false, true>},
    {"replace", replace},
    {"reverse", reverse},
    {"round", rounded},
    {"safe", safe},
    {"select", select<true, false>},
    {"selectattr", select<true, true>},
    {"sort", sort},
    {"string", toString},
    {"sum", sum},
    {"tojson", toJson},
    {"title", converted<titled>},
    {"trim", trim},
    {"unique", unique},
    {"upper", converted<upper>},
};

const Filter *filterNamed(std::string_view name) {
  auto found = std::find_if(std::begin(kFilters), std::end(kFilters),
                            [&](const Filter &filter) { return filter.name == name; });
  return found == std::end(kFilters) ? nullptr : found;
}

} // namespace

bool isFilter(std::string_view name) { return filterNamed(name) != nullptr; }

Value applyFilter(Evaluator &evaluator, std::string_view name, Value input, const Arguments &arguments) {
  Evaluator::Nesting nesting(evaluator); // "map" applies a filter to each element
  return filterNamed(name)->apply(evaluator, input, arguments);
}

} // namespace linnet::chat
