// Weights that the module computes itself: private functions marked `linnet.weight`.
#pragma once
#include "backends/reference/tensor.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"

namespace linnet::reference {

/// The function that computes the param called `name`, or null where the checkpoint has it.
mlir::func::FuncOp weightFunction(mlir::ModuleOp module, std::string_view name);

/// What a weight function returns, computed by the interpreter. Its own params come from other weight
/// functions or from `stored`. The error names the weight.
Result<Tensor> computeWeight(mlir::func::FuncOp function, const WeightProvider &stored);

/// A provider that computes what the module's weight functions say, each once, and asks `stored` for the
/// rest. Keeps what it computed; `module` must outlive it.
WeightProvider withComputedWeights(mlir::ModuleOp module, WeightProvider stored);

} // namespace linnet::reference
