// The origin of an artifact: hashes of contents, never paths, so its bytes do not depend on the machine.
#pragma once
#include "support/result.h"

#include "mlir/IR/BuiltinOps.h"

#include <string>
#include <vector>

namespace linnet {

/// "xxh3-64 0123456789abcdef": a hash of the files' contents that does not depend on names, folders or order.
Result<std::string> contentKey(const std::vector<std::string> &files);

/// Removes the folders from every file name in the module's locations: "graph.mlir:3" stays.
void removeFolders(mlir::ModuleOp module);

} // namespace linnet
