// Weights computed at compile time: private functions marked `linnet.weight`, which params name.
#pragma once
#include "ir/Linnet.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/PatternMatch.h"

#include <map>
#include <string>

namespace linnet {

/// Whether the op's result is one static tensor and all its operands are params or constants, at least one a
/// param. A rotary_table, which has no operands, counts too.
bool isComputedFromWeights(mlir::Operation *op);

/// Moves ops into weight functions. Equal computations become one function, also across entries.
class WeightFunctions {
public:
  explicit WeightFunctions(mlir::ModuleOp module);

  /// Replaces `op`, for which isComputedFromWeights() must hold, by a param of a function that computes it.
  /// The function's name is the first param's name, if there is one, followed by the op's.
  ir::ParamOp replace(mlir::RewriterBase &rewriter, mlir::Operation *op);

private:
  mlir::ModuleOp module;
  std::map<std::string, mlir::StringAttr> by_body;
};

} // namespace linnet
