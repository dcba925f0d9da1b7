// A target of a compilation, as --target names it, and the door of its backend.
#pragma once
#include "backends/common/weights.h"
#include "runtime/artifact_generated.h"
#include "support/result.h"

#include "mlir/IR/BuiltinOps.h"

#include <string>

namespace linnet {

namespace dump {
class Dump;
}

struct TargetSpec {
  std::string name, argument; ///< "cpu", "native"
};

/// The error tells what there is.
Result<TargetSpec> parseTarget(const std::string &spec);

/// `planned`'s program. `dump`, if there is one, is told of kernels.
Result<fb::ProgramT> lowerTo(const TargetSpec &target, mlir::ModuleOp planned, WeightSource &weights,
                             BlobSink &sink, dump::Dump *dump = nullptr);

} // namespace linnet
