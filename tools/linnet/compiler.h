// The compiler library, opened when a command first needs it: what runs an artifact never maps MLIR.
#pragma once
#include "compiler/api.h"
#include "support/result.h"

#include <string>
#include <vector>

namespace linnet::cli {
/// The library's table. The error names what is missing and where it was looked for; `command` starts it
/// ("linnet compile"). Looked for as $LINNET_COMPILER_LIBRARY, beside the runtime library, in ../lib of the
/// program, then wherever the loader looks.
Result<const CompilerApi *> compiler(const std::string &command);

/// A usage error about --target unless the compiler has each of them.
void requireTargets(const CompilerApi &api, const std::vector<std::string> &targets);
} // namespace linnet::cli
