// Values as text: str(), repr() and json.dumps().
#include "chat/text.h"
#include "chat/value.h"
#include "tokenizer/unicode.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace linnet::chat {
namespace {

std::string joined(Heap &heap, const std::vector<Value> &items) {
  std::string out;
  for (size_t i = 0; i < items.size(); ++i) out += (i ? ", " : "") + repr(heap, items[i]);
  return out;
}

std::string listText(Heap &heap, const List &list) {
  switch (list.flavor) {
  case Flavor::list:
    return "[" + joined(heap, list.items) + "]";
  case Flavor::tuple:
    return "(" + joined(heap, list.items) + (list.items.size() == 1 ? ",)" : ")");
  default:
    break;
  }
  throw Fault{fmt::format("a {} cannot be written as text", typeName(ofList(&list)))};
}

class Dumper {
public:
  Dumper(Heap &heap, const JsonOptions &options) : heap(heap), options(options) {}
  std::string out;

  void value(Value v, int level) {
    heap.spend(1);
    switch (v.kind) {
    case Kind::none:
      out += "null";
      break;
    case Kind::boolean:
      out += v.truth ? "true" : "false";
      break;
    case Kind::integer:
      out += std::to_string(v.integer);
      break;
    case Kind::real:
      out += number(v.real);
      break;
    case Kind::string:
      text(v.string());
      break;
    case Kind::list:
      if (v.list->flavor != Flavor::list && v.list->flavor != Flavor::tuple) refuse(v);
      list(*v.list, level);
      break;
    case Kind::dict:
      dict(*v.dict, level);
      break;
    default:
      refuse(v);
    }
  }

private:
  [[noreturn]] void refuse(Value v) {
    requireDefined(v);
    throw Fault{fmt::format("tojson: a {} has no JSON", typeName(v))};
  }

  static std::string number(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
    return realText(value);
  }

  void line(int level) {
    if (!options.multiline) return;
    out += '\n';
    for (int i = 0; i < level; ++i) out += options.indent;
    heap.spend(options.indent.size() * static_cast<size_t>(level));
  }

  void list(const List &list, int level) {
    if (list.items.empty()) return void(out += "[]");
    out += '[';
    for (size_t i = 0; i < list.items.size(); ++i) {
      if (i) heap.spend(options.item_separator.size()), out += options.item_separator;
      line(level + 1);
      value(list.items[i], level + 1);
    }
    line(level);
    out += ']';
  }

  std::string keyText(Value key) {
    switch (key.kind) {
    case Kind::string:
      return std::string(key.string());
    case Kind::boolean:
      return key.truth ? "true" : "false";
    case Kind::none:
      return "null";
    case Kind::integer:
      return std::to_string(key.integer);
    case Kind::real:
      return number(key.real);
    default:
      throw Fault{fmt::format("tojson: a key of a dict is a {}", typeName(key))};
    }
  }

  void dict(const Dict &dict, int level) {
    if (dict.items.empty()) return void(out += "{}");
    std::vector<std::pair<Value, Value>> items = dict.items;
    if (options.sorted)
      std::stable_sort(items.begin(), items.end(), [&](const auto &a, const auto &b) {
        return compare(heap, a.first, b.first, "<") < 0;
      });
    out += '{';
    for (size_t i = 0; i < items.size(); ++i) {
      if (i) heap.spend(options.item_separator.size()), out += options.item_separator;
      line(level + 1);
      text(keyText(items[i].first));
      heap.spend(options.key_separator.size());
      out += options.key_separator;
      value(items[i].second, level + 1);
    }
    line(level);
    out += '}';
  }

  void text(std::string_view text) {
    constexpr std::string_view kEscapes = "\"\"\\\\\nn\rr\tt\ff\bb";
    heap.spend(text.size());
    out += '"';
    for (size_t at = 0; at < text.size();) {
      size_t begin = at, escape = 0;
      uint32_t code = unicode::next(text.data(), at);
      while (escape < kEscapes.size() && static_cast<uint32_t>(kEscapes[escape]) != code) escape += 2;
      if (escape < kEscapes.size())
        (out += '\\') += kEscapes[escape + 1];
      else if (code < 0x20 || (options.ascii && code >= 0x7F && code <= 0xFFFF))
        out += fmt::format("\\u{:04x}", code);
      else if (options.ascii && code > 0xFFFF) // a pair of surrogates
        out += fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + ((code - 0x10000) >> 10),
                           0xDC00 + ((code - 0x10000) & 0x3FF));
      else
        out += text.substr(begin, at - begin);
    }
    out += '"';
  }

  Heap &heap;
  const JsonOptions &options;
};

} // namespace

std::string str(Heap &heap, Value value) {
  if (value.is(Kind::string)) return heap.spend(value.string().size()), value.text->bytes;
  if (value.is(Kind::undefined)) return "";
  return repr(heap, value);
}

std::string repr(Heap &heap, Value value) {
  heap.spend(1);
  std::string out;
  switch (value.kind) {
  case Kind::undefined:
    return "Undefined";
  case Kind::none:
    return "None";
  case Kind::boolean:
    return value.truth ? "True" : "False";
  case Kind::integer:
    return std::to_string(value.integer);
  case Kind::real:
    return realText(value.real);
  case Kind::string:
    if (value.text->safe) throw Fault{"a safe str inside of a list cannot be written as text"};
    out = quotedText(value.string());
    break;
  case Kind::list:
    out = listText(heap, *value.list);
    break;
  case Kind::dict:
    for (const auto &[key, item] : value.dict->items)
      out += (out.empty() ? "" : ", ") + repr(heap, key) + ": " + repr(heap, item);
    out = "{" + out + "}";
    break;
  default:
    throw Fault{fmt::format("a {} cannot be written as text", typeName(value))};
  }
  heap.spend(out.size());
  return out;
}

std::string dumps(Heap &heap, Value value, const JsonOptions &options) {
  Dumper dumper(heap, options);
  dumper.value(value, 0);
  heap.spend(dumper.out.size());
  return std::move(dumper.out);
}

} // namespace linnet::chat
