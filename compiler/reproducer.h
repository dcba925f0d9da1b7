// Writes graphs that reproduce a fault of a pass, with the command line that does it.
#pragma once
#include "compiler/api.h"

#include "mlir/IR/BuiltinOps.h"

#include <string>

namespace linnet {

/// Quotes a word for a shell: "it's" -> 'it'\''s'. Plain words stay.
std::string shellWord(const std::string &text);

/// The module as text with locations; parsing it gives the same module.
std::string moduleText(mlir::ModuleOp module);

/// Writes `module`, the input of the pass `text` ("linnet-alias{target=cpu}"), to
/// options.crash_file. Its first lines are `fault` and the command that shows it again. Returns its name.
Result<std::string> writeReproducer(mlir::ModuleOp module, const std::string &text, const std::string &fault,
                                    const CompileOptions &options);

} // namespace linnet
