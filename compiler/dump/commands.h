// Which commands of a program compute an op: what pictures number.
#pragma once
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/DenseMap.h"

namespace linnet::dump {

/// The commands of an op that are no other op's: numbers in the entry's program. Its results are there after
/// the last; other ops may have the same one.
struct Commands {
  int first = -1, last = -1;
};
/// Of the ops that have commands, as the lowering noted (linnet.commands). In a module that was not lowered
/// ops are numbered: all but params, constants, views and the terminator.
llvm::DenseMap<mlir::Operation *, Commands> commandsOf(mlir::func::FuncOp function);

} // namespace linnet::dump
