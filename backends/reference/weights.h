// Weights that functions of the module compute. These functions are private and marked `linnet.weight`.
#pragma once
#include "backends/reference/tensor.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"

namespace linnet::reference {

/// The function that computes the param called `name`. Null if the checkpoint has the param.
mlir::func::FuncOp weightFunction(mlir::ModuleOp module, std::string_view name);

/// Computes the result of a weight function by the interpreter. The function's params come from other weight functions
/// or from `stored`. The error names the weight.
Result<Tensor> computeWeight(mlir::func::FuncOp function, const WeightProvider &stored);

/// A provider that computes each weight of a weight function once, and keeps it. All other weights come from `stored`.
/// `module` must outlive the provider.
WeightProvider withComputedWeights(mlir::ModuleOp module, WeightProvider stored);

} // namespace linnet::reference
