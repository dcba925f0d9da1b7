// Reads and checks a user's graph: an untrusted .mlir file in the dialect.
#pragma once
#include "backends/common/weights.h"
#include "support/result.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

#include <string>
#include <string_view>

namespace linnet {

/// Parses `text`. Errors begin with path:line:column. Bytecode, files over 256 MiB and nesting deeper than
/// 200 are errors, because MLIR's parser recurses. Arguments and results without a name are called "argN" and
/// "resultN".
Result<mlir::OwningOpRef<mlir::ModuleOp>> parseGraph(mlir::MLIRContext &context, std::string_view text,
                                                     const std::string &path);

/// Checks the assumptions of all backends: entries have one block with ops of the dialect only; arguments and
/// results are tensors with unique names; each dynamic dimension has a bound; a state has one type in all
/// entries; `weights` has each param in its shape. Errors name the op's location.
Result<void> checkGraph(mlir::ModuleOp module, WeightSource &weights);

} // namespace linnet
