#include "chat/evaluator.h"
#include "chat/text.h"

#include <cmath>
#include <fmt/format.h>
#include <optional>

namespace linnet::chat {
namespace {

constexpr const char *kTooLarge = "a number that is too large";

[[noreturn]] void noOperation(const char *op, Value a, Value b) {
  requireDefined(a);
  requireDefined(b);
  throw Fault{fmt::format("'{}' is not defined between {} and {}", op, typeName(a), typeName(b))};
}

const char *symbol(ExprKind kind) {
  switch (kind) {
  case ExprKind::subtract:
    return "-";
  case ExprKind::multiply:
    return "*";
  case ExprKind::divide:
    return "/";
  case ExprKind::floor_divide:
    return "//";
  case ExprKind::modulo:
    return "%";
  default:
    return "**";
  }
}

bool joinable(Value value) {
  return value.is(Kind::list) && (value.list->flavor == Flavor::list || value.list->flavor == Flavor::tuple);
}

Value repeated(Heap &heap, Value value, int64_t count) {
  const size_t times = static_cast<size_t>(std::max<int64_t>(count, 0));
  if (value.is(Kind::string)) {
    if (value.text->safe) throw Fault{"'*' of a safe str is not supported"};
    size_t size = 0;
    if (__builtin_mul_overflow(value.string().size(), times, &size)) throw Fault{kTooLarge};
    heap.spend(size);
    std::string text;
    text.reserve(size);
    for (size_t i = 0; i < times && !value.string().empty(); ++i) text += value.string();
    return heap.text(std::move(text));
  }
  size_t size = 0;
  if (__builtin_mul_overflow(value.list->items.size(), times, &size)) throw Fault{kTooLarge};
  heap.spend(size);
  std::vector<Value> items;
  for (size_t i = 0; i < times && !value.list->items.empty(); ++i)
    items.insert(items.end(), value.list->items.begin(), value.list->items.end());
  return heap.list(std::move(items), value.list->flavor);
}

int64_t wholePower(Heap &heap, int64_t base, int64_t exponent) {
  int64_t result = 1;
  if (base == 0 || base == 1) return exponent == 0 ? 1 : base;
  if (base == -1) return exponent % 2 == 0 ? 1 : -1;
  for (; exponent > 0; --exponent)
    if (__builtin_mul_overflow(result, base, &result)) throw Fault{kTooLarge};
  return result;
}

Value ofIntegers(Heap &heap, ExprKind kind, int64_t a, int64_t b) {
  int64_t result = 0;
  bool overflow = false;
  switch (kind) {
  case ExprKind::subtract:
    overflow = __builtin_sub_overflow(a, b, &result);
    break;
  case ExprKind::multiply:
    overflow = __builtin_mul_overflow(a, b, &result);
    break;
  case ExprKind::power:
    if (b < 0) {
      if (a == 0) throw Fault{"zero cannot be raised to a negative power"};
      return real(std::pow(static_cast<double>(a), static_cast<double>(b)));
    }
    return integer(wholePower(heap, a, b));
  default:
    if (b == 0) throw Fault{"division by zero"};
    if (kind == ExprKind::divide) return real(static_cast<double>(a) / static_cast<double>(b));
    if (b == -1) { // the only quotient that may overflow
      if (kind == ExprKind::modulo) return integer(0);
      overflow = __builtin_sub_overflow(int64_t(0), a, &result);
      break;
    }
    result = kind == ExprKind::modulo ? a % b : a / b;
    if (a % b != 0 && (a < 0) != (b < 0)) result += kind == ExprKind::modulo ? b : -1; // rounds down
  }
  if (overflow) throw Fault{kTooLarge};
  return integer(result);
}

Value ofReals(ExprKind kind, double a, double b) {
  switch (kind) {
  case ExprKind::subtract:
    return real(a - b);
  case ExprKind::multiply:
    return real(a * b);
  case ExprKind::power: {
    if (a == 0 && b < 0) throw Fault{"zero cannot be raised to a negative power"};
    double result = std::pow(a, b);
    if (std::isnan(result) || (std::isinf(result) && std::isfinite(a) && std::isfinite(b)))
      throw Fault{kTooLarge};
    return real(result);
  }
  default:
    break;
  }
  if (b == 0) throw Fault{"division by zero"};
  if (kind == ExprKind::divide) return real(a / b);
  double rest = std::fmod(a, b), quotient = (a - rest) / b;
  if (rest != 0 && (rest < 0) != (b < 0)) {
    rest += b;
    quotient -= 1;
  }
  if (kind == ExprKind::modulo) return real(rest == 0 ? std::copysign(0.0, b) : rest);
  return real(std::floor(quotient + 0.5)); // quotient is whole except for rounding
}

} // namespace

Value add(Heap &heap, Value a, Value b) {
  if (isNumber(a) && isNumber(b)) {
    if (a.is(Kind::real) || b.is(Kind::real)) return real(toReal(a, "+") + toReal(b, "+"));
    int64_t result = 0;
    if (__builtin_add_overflow(toInteger(a, "+"), toInteger(b, "+"), &result)) throw Fault{kTooLarge};
    return integer(result);
  }
  if (a.is(Kind::string) && b.is(Kind::string)) {
    if (a.text->safe || b.text->safe) throw Fault{"'+' of a safe str is not supported: use '~'"};
    return heap.text(std::string(a.string()) + std::string(b.string()));
  }
  if (joinable(a) && joinable(b) && a.list->flavor == b.list->flavor) {
    std::vector<Value> items = a.list->items;
    items.insert(items.end(), b.list->items.begin(), b.list->items.end());
    return heap.list(std::move(items), a.list->flavor);
  }
  noOperation("+", a, b);
}

Value arithmetic(Heap &heap, ExprKind kind, Value a, Value b) {
  if (isNumber(a) && isNumber(b)) {
    if (a.is(Kind::real) || b.is(Kind::real))
      return ofReals(kind, toReal(a, symbol(kind)), toReal(b, symbol(kind)));
    return ofIntegers(heap, kind, toInteger(a, symbol(kind)), toInteger(b, symbol(kind)));
  }
  if (kind == ExprKind::multiply) {
    if (a.is(Kind::integer) || a.is(Kind::boolean)) std::swap(a, b);
    const bool count = b.is(Kind::integer) || b.is(Kind::boolean);
    if (count && (a.is(Kind::string) || joinable(a))) return repeated(heap, a, toInteger(b, "*"));
  }
  if (kind == ExprKind::modulo && a.is(Kind::string))
    throw Fault{"formatting of strings by '%' is not supported"};
  noOperation(symbol(kind), a, b);
}

Value negated(Value value) {
  if (value.is(Kind::real)) return real(-value.real);
  int64_t result = 0;
  if (__builtin_sub_overflow(int64_t(0), toInteger(value, "-"), &result)) throw Fault{kTooLarge};
  return integer(result);
}

Value slice(Heap &heap, Value value, Value first, Value last, Value step) {
  requireDefined(value);
  const bool sequence =
      value.is(Kind::list) && value.list->flavor != Flavor::view && value.list->flavor != Flavor::iterator;
  if (!value.is(Kind::string) && !sequence)
    return heap.undefined(fmt::format("a {} has no slices", typeName(value)));
  std::vector<Value> items = elements(heap, value), out;
  const int64_t size = static_cast<int64_t>(items.size());
  auto given = [](Value part) -> std::optional<int64_t> {
    if (part.is(Kind::none)) return std::nullopt;
    return toInteger(part, "a slice");
  };
  const int64_t stride = given(step).value_or(1);
  if (stride == 0) throw Fault{"a slice with step 0"};
  // Bounds as Python's slice.indices(): a negative one counts from the end.
  auto bound = [&](std::optional<int64_t> part, int64_t absent) {
    if (!part) return absent;
    const int64_t low = stride > 0 ? 0 : -1, high = stride > 0 ? size : size - 1;
    const int64_t from_start = *part < 0 ? (*part < -size ? low : *part + size) : *part;
    return std::clamp(from_start, low, high);
  };
  const int64_t begin = bound(given(first), stride > 0 ? 0 : size - 1);
  const int64_t end = bound(given(last), stride > 0 ? size : -1);
  for (int64_t i = begin; stride > 0 ? i < end : i > end;) {
    out.push_back(items[static_cast<size_t>(i)]);
    if (__builtin_add_overflow(i, stride, &i)) break;
  }
  if (!value.is(Kind::string)) return heap.list(std::move(out), value.list->flavor);
  std::string text;
  for (Value character : out) text += character.string();
  return heap.text(std::move(text), value.text->safe);
}

} // namespace linnet::chat
