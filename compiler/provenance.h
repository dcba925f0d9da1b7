// What an artifact says of its origin: contents, never paths. So its bytes depend on no machine.
#pragma once
#include "support/result.h"

#include "mlir/IR/BuiltinOps.h"

#include <string>
#include <vector>

namespace linnet {

/// "xxh3-64 0123456789abcdef": a hash of the files' contents. Names, folders and order do not count.
Result<std::string> contentKey(const std::vector<std::string> &files);

/// Removes the folders from every file name in the module's locations: "graph.mlir:3" stays.
void removeFolders(mlir::ModuleOp module);

} // namespace linnet
