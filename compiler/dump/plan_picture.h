// Draws the memory plan of an entry: time to the right, the arena upwards.
#pragma once
#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <string>

namespace linnet::dump {

/// The plan as SVG. Each buffer is a rectangle from the command that writes it to the last one that reads it.
/// Empty if the function is not planned.
std::string planPicture(mlir::func::FuncOp function);

} // namespace linnet::dump
