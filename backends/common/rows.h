// Operands whose rows may have gaps, for backends whose kernels walk rows with a stride.
#pragma once
#include "mlir/IR/Operation.h"

namespace linnet::backend {

/// TargetDescription::accepts_strided_rows of kernels that read rows (b, t) with a stride: attention's q,
/// cache_append's entries, matmul's lhs.
bool acceptsStridedRows(mlir::Operation *op, unsigned operand, int64_t row);

} // namespace linnet::backend
