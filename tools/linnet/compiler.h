// The compiler library. It is loaded when a command first needs it, so running an artifact never maps MLIR.
#pragma once
#include "compiler/api.h"
#include "support/result.h"

#include <string>
#include <vector>

namespace linnet::cli {
/// The library's table. It is searched as $LINNET_COMPILER_LIBRARY, next to the runtime library, in ../lib of
/// the program, then on the loader's path. Errors begin with `command` ("linnet compile") and name the
/// missing file and the searched places.
Result<const CompilerApi *> compiler(const std::string &command);

/// A usage error about --target unless the compiler knows all targets.
void requireTargets(const CompilerApi &api, const std::vector<std::string> &targets);
} // namespace linnet::cli
