// The interpreter defines the dialect: plain loops, sums in double, one op after another. Every backend is compared
// with it. It ignores layouts, memory plans and in-place marks.
#pragma once
#include "backends/reference/tensor.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"

#include <map>
#include <string>

namespace linnet::reference {

struct RunOptions {
  /// A tensor with more elements than this is an error.
  int64_t max_elements = int64_t(1) << 31;
  /// Receives each op and its results, in the order of execution, but no ops inside `linnet.fused`.
  std::function<void(mlir::Operation *, std::span<const Tensor>)> observer;
  /// If set, evaluates the ops of the entry instead of evaluate(). Operands may share their elements with other values.
  std::function<Result<std::vector<Tensor>>(mlir::Operation *, std::span<const Tensor>,
                                            const WeightProvider &)>
      evaluator;
};

/// Inputs, outputs or states of an entry, by their `linnet.name` or `linnet.state`.
using Named = std::map<std::string, Tensor, std::less<>>;

/// Runs entry `name` and returns its outputs; `states` receives the new states. Inputs and states give the sizes of
/// dynamic dimensions. The sizes must agree with each other and with linnet.bounds. A state that is missing from
/// `states` starts as zeros; a dimension without a size gets its bound. Errors name the op, its location and the
/// reason.
Result<Named> run(mlir::ModuleOp module, std::string_view name, const Named &inputs, Named &states,
                  const WeightProvider &weights, const RunOptions &options = {});

/// Evaluates one op on values of its operands. run() calls this for each op.
Result<std::vector<Tensor>> evaluate(mlir::Operation *op, std::span<const Tensor> operands,
                                     const WeightProvider &weights, const RunOptions &options = {});

} // namespace linnet::reference
