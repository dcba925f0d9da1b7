// Graphs in files that show a fault of a pass again, with the command line that does it.
#pragma once
#include "compiler/api.h"

#include "mlir/IR/BuiltinOps.h"

#include <string>

namespace linnet {

/// "it's" -> 'it'\''s', for a shell; plain words stay.
std::string shellWord(const std::string &text);

/// The module as text that is read back as it was, locations included.
std::string moduleText(mlir::ModuleOp module);

/// Writes `module`, as it is in front of the pass `text` ("linnet-alias{target=cpu}"), beside options.output:
/// FILE.crash.mlir, whose first lines are `fault` and the command that shows it again. Returns its name.
Result<std::string> writeReproducer(mlir::ModuleOp module, const std::string &text, const std::string &fault,
                                    const CompileOptions &options);

} // namespace linnet
