// The meaning of the dialect: naive loops, sums in double, one op after the other. Every backend is compared
// with it. Layouts, memory plans and in-place marks are ignored: values are values.
#pragma once
#include "backends/reference/tensor.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"

#include <map>
#include <string>

namespace linnet::reference {

struct RunOptions {
  /// Refuses to hold more elements than this in one tensor.
  int64_t max_elements = int64_t(1) << 31;
  /// Called with each op and its results, in the order they run; not for ops inside `linnet.fused`.
  std::function<void(mlir::Operation *, std::span<const Tensor>)> observer;
  /// Called instead of evaluate() for each op of the entry. Operands share their elements with other values.
  std::function<Result<std::vector<Tensor>>(mlir::Operation *, std::span<const Tensor>,
                                            const WeightProvider &)>
      evaluator;
};

/// Inputs, outputs and states of an entry by `linnet.name` and `linnet.state`.
using Named = std::map<std::string, Tensor, std::less<>>;

/// Runs entry `name`. Dynamic dimensions are bound by the inputs and states, which must agree with each other
/// and with linnet.bounds; a dimension that only states have (a cache's capacity) is bound by them. States
/// that are missing from `states` start as zeros at the bounds. Returns the outputs; `states` then holds the
/// new states. Errors name the op, its location and what is wrong.
Result<Named> run(mlir::ModuleOp module, std::string_view name, const Named &inputs, Named &states,
                  const WeightProvider &weights, const RunOptions &options = {});

/// Evaluates one op on operand values: the same code that run() uses.
Result<std::vector<Tensor>> evaluate(mlir::Operation *op, std::span<const Tensor> operands,
                                     const WeightProvider &weights, const RunOptions &options = {});

} // namespace linnet::reference
