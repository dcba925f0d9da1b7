// Converts MLIR's diagnostics to the line of an Error.
#pragma once
#include "support/result.h"

#include "mlir/IR/Diagnostics.h"

#include <string>

namespace linnet {

/// "graph.mlir:3:7", or the name that the frontend gave ("blocks.3.attn.qkv"), or "" if unknown.
std::string locationText(mlir::Location location);

/// During its lifetime, errors of `context` are collected instead of printed.
class DiagnosticCollector {
public:
  explicit DiagnosticCollector(mlir::MLIRContext *context);
  /// The first error with its location and first note, or `otherwise` if there was none.
  Error error(const std::string &otherwise) const;

private:
  std::string first;
  mlir::ScopedDiagnosticHandler handler;
};

} // namespace linnet
