// A target of a compilation, from --target.
#pragma once
#include "backends/common/backend.h"
#include "support/result.h"

#include "mlir/IR/BuiltinOps.h"

#include <string>

namespace linnet {

struct TargetSpec {
  const Backend *backend = nullptr;
  std::string argument = {}; ///< the part after the colon: "native"
  bool onednn = true;        ///< whether commands of the cpu may call oneDNN
  const std::string &name() const { return backend->description().name; }
  std::string text() const { return argument.empty() ? name() : name() + ":" + argument; }
};

/// Parses "NAME" or "NAME:ARGUMENT". The error lists the known names.
Result<TargetSpec> parseTarget(const std::string &spec);

/// Lowers `planned` to a program. Evaluates its computed weights (linnet.weight).
Result<fb::ProgramT> lowerTo(const TargetSpec &target, mlir::ModuleOp planned, WeightSource &weights,
                             BlobSink &sink, const KernelListener &listener = {});

} // namespace linnet
