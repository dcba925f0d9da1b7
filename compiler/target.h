// A target of a compilation, as --target names it.
#pragma once
#include "backends/common/backend.h"
#include "support/result.h"

#include "mlir/IR/BuiltinOps.h"

#include <string>

namespace linnet {

struct TargetSpec {
  const Backend *backend = nullptr;
  std::string argument; ///< "native"; what follows the colon
  const std::string &name() const { return backend->description().name; }
  std::string text() const { return argument.empty() ? name() : name() + ":" + argument; }
};

/// "NAME" or "NAME:ARGUMENT". The error lists the known names.
Result<TargetSpec> parseTarget(const std::string &spec);

/// The program of `planned`, whose computed weights (linnet.weight) are evaluated on the way.
Result<fb::ProgramT> lowerTo(const TargetSpec &target, mlir::ModuleOp planned, WeightSource &weights,
                             BlobSink &sink, const KernelListener &listener = {});

} // namespace linnet
