// Activation functions: each is an elementwise op, and an attribute of a matmul's epilogue.
#pragma once
#include "ir/Linnet.h"

#include "mlir/IR/Builders.h"

#include <optional>

namespace linnet::ir {

/// The op that computes `activation` of `x`; `x` itself for none.
mlir::Value applyActivation(mlir::OpBuilder &b, mlir::Location loc, Activation activation, mlir::Value x);
/// The activation that `op` applies to its operand; nothing if `op` is not an activation.
std::optional<Activation> activationOf(mlir::Operation *op);

} // namespace linnet::ir
