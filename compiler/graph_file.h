// A graph that a person wrote: an .mlir file in the dialect, untrusted.
#pragma once
#include "backends/common/weights.h"
#include "support/result.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

#include <string>
#include <string_view>

namespace linnet {

/// Parses `text`. Errors begin with path:line:column. Refuses bytecode, files over 256 MiB and nesting deeper
/// than 200 (MLIR's parser recurses). Arguments and results without a name get "argN" and "resultN".
Result<mlir::OwningOpRef<mlir::ModuleOp>> parseGraph(mlir::MLIRContext &context, std::string_view text,
                                                     const std::string &path);

/// What every backend relies on, for graphs of any origin: entries of one block with ops of the dialect only,
/// tensor arguments and results with unique names, a bound for each dynamic dimension, states of one type in
/// all entries, params that `weights` has in their shape. Errors name the op's place.
Result<void> checkGraph(mlir::ModuleOp module, WeightSource &weights);

} // namespace linnet
