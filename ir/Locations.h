// Readable locations of ops.
#pragma once
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Location.h"

#include <string>

namespace linnet::ir {

/// The innermost name inside a location, the first if there are several; else file:line; else the empty
/// string.
std::string locationName(mlir::Location location);

} // namespace linnet::ir
