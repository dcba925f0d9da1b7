// Summarizes an .mlir file in the dialect for `linnet inspect`.
#pragma once
#include "compiler/api.h"
#include "support/result.h"

#include <string>

namespace linnet {

/// Reads and checks the file like a compilation, except that parameters need no weights. Errors begin with
/// path:line:column.
Result<GraphSummary> inspectGraph(const std::string &path);

} // namespace linnet
