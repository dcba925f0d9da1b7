// Weights computed at compile time: private functions marked `linnet.weight`, which params refer to by name.
#pragma once
#include "ir/Linnet.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/PatternMatch.h"

#include <map>
#include <string>

namespace linnet {

/// Whether the op has one static tensor as its result, and nothing but params and constants as operands, a
/// param among them.
bool isComputedFromWeights(mlir::Operation *op);

/// Moves ops into weight functions. Equal computations become one function, whichever entry they stand in.
class WeightFunctions {
public:
  explicit WeightFunctions(mlir::ModuleOp module);

  /// Replaces `op`, for which isComputedFromWeights() holds, by a param of a function that computes it. The
  /// function is called like the first param, with the op's name behind it.
  ir::ParamOp replace(mlir::RewriterBase &rewriter, mlir::Operation *op);

private:
  mlir::ModuleOp module;
  std::map<std::string, mlir::StringAttr> by_body;
};

} // namespace linnet
