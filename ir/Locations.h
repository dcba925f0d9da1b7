// Where an op comes from, as people read it.
#pragma once
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Location.h"

#include <string>

namespace linnet::ir {

/// The innermost name inside of a location, the first one of several; else file:line; else nothing.
std::string locationName(mlir::Location location);

} // namespace linnet::ir
