// Evaluates an artifact's Exprs, numbers that depend on the dynamic dimensions of a call.
#pragma once
#include "linnet/api.h"
#include "runtime/artifact/artifact_generated.h"
#include "support/result.h"

#include <cstdint>
#include <optional>
#include <span>

namespace linnet {

/// Upper limit of coefficients and of every value at the largest bounds.
inline constexpr int64_t kMaxExprValue = int64_t(1) << 56;

/// Value of `expr` with Program.symbols bound to `symbols`; null is 0. Nothing if a coefficient is negative,
/// a symbol does not exist, or the value exceeds kMaxExprValue. Coefficients are not negative, so an
/// expression that has a value at the bounds has one for all smaller symbols.
LINNET_API std::optional<int64_t> evaluateChecked(const fb::Expr *expr, std::span<const int64_t> symbols);
/// The same for an expression of an untrusted file, whose size is limited, too. `what` names it in the error.
LINNET_API Result<int64_t> valueAtBounds(const fb::Expr *expr, std::span<const int64_t> bounds,
                                         const char *what);
/// The same for an expression that valueAtBounds() has accepted.
LINNET_API int64_t evaluate(const fb::Expr *expr, std::span<const int64_t> symbols);
/// Product of a shape's dimensions; nothing if a dimension has no value or the product exceeds kMaxExprValue.
LINNET_API std::optional<int64_t>
elementCount(const flatbuffers::Vector<flatbuffers::Offset<fb::Expr>> &shape,
             std::span<const int64_t> symbols);

} // namespace linnet
