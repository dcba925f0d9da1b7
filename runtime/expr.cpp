#include "runtime/expr.h"
#include "support/error.h"

namespace linnet {
namespace {
constexpr uint64_t kMaxTerms = 256, kMaxFactors = 8;
}

std::optional<int64_t> evaluateChecked(const fb::Expr *expr, std::span<const int64_t> symbols) {
  if (!expr) return 0;
  __int128 sum = 0;
  for (const fb::Term *term : *expr->terms()) {
    __int128 product = term->coefficient();
    if (product < 0 || product > kMaxExprValue) return std::nullopt;
    for (uint8_t symbol : *term->symbols()) {
      if (symbol >= symbols.size() || symbols[symbol] < 0) return std::nullopt;
      product *= symbols[symbol]; // below 2^56 * 2^63
      if (product > kMaxExprValue) return std::nullopt;
    }
    sum += product;
    if (sum > kMaxExprValue) return std::nullopt;
  }
  return static_cast<int64_t>(sum);
}

Result<int64_t> valueAtBounds(const fb::Expr *expr, std::span<const int64_t> bounds, const char *what) {
  if (expr && expr->terms()->size() > kMaxTerms) return errorf("{}: {} terms", what, expr->terms()->size());
  if (expr)
    for (const fb::Term *term : *expr->terms())
      if (term->symbols()->size() > kMaxFactors)
        return errorf("{}: {} factors", what, term->symbols()->size());
  auto value = evaluateChecked(expr, bounds);
  if (!value) return errorf("{} has no value at the bounds (unknown symbol, negative or too large)", what);
  return *value;
}

int64_t evaluate(const fb::Expr *expr, std::span<const int64_t> symbols) {
  int64_t sum = 0;
  if (!expr) return 0;
  for (const fb::Term *term : *expr->terms()) {
    int64_t product = term->coefficient();
    for (uint8_t symbol : *term->symbols()) product *= symbols[symbol];
    sum += product;
  }
  return sum;
}

std::optional<int64_t> elementCount(const flatbuffers::Vector<flatbuffers::Offset<fb::Expr>> &shape,
                                    std::span<const int64_t> symbols) {
  __int128 count = 1;
  for (const fb::Expr *dim : shape) {
    auto value = evaluateChecked(dim, symbols);
    if (!value) return std::nullopt;
    count *= *value;
    if (count > kMaxExprValue) return std::nullopt;
  }
  return static_cast<int64_t>(count);
}

} // namespace linnet
