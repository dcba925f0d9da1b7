// Operands whose rows may have gaps, for backends whose kernels read rows with a stride.
#pragma once
#include "mlir/IR/Operation.h"

namespace linnet::backend {

/// TargetDescription::accepts_strided_rows for kernels that read rows (b, t) with a stride: q of attention, x of
/// rotary, entries of cache_append, lhs of a matmul with panels.
bool acceptsStridedRows(mlir::Operation *op, unsigned operand, int64_t row);

} // namespace linnet::backend
