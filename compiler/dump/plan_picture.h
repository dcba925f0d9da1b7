// The memory plan of an entry as a picture: time to the right, the arena upwards.
#pragma once
#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <string>

namespace linnet::dump {

/// SVG; each buffer is one rectangle from the command that writes it to the last that reads it. Empty when
/// the function is not planned.
std::string planPicture(mlir::func::FuncOp function);

} // namespace linnet::dump
