// The functions of each_op.mlir, which together show each op of the dialect.
#pragma once
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"

#include <string>
#include <vector>

namespace linnet::testing {

constexpr int64_t kOpCaseBatch = 3; ///< bound of the dimension `batch`

/// A function of the file as a module of its own. There it is @main, with results named r0, r1, ...
struct OpCase {
  std::string name; ///< the function's, in the file
  mlir::OwningOpRef<mlir::ModuleOp> module;
};
/// Loads the dialects into `context`. Fails the test if the file is not right.
std::vector<OpCase> opCases(mlir::MLIRContext &context);

} // namespace linnet::testing
