#include "compiler/target.h"

#include "compiler/weights.h"
#include "support/error.h"

namespace linnet {

Result<TargetSpec> parseTarget(const std::string &spec) {
  const size_t colon = spec.find(':');
  TargetSpec target{findBackend(spec.substr(0, colon)), colon == spec.npos ? "" : spec.substr(colon + 1)};
  if (!target.backend) return errorf("unknown target '{}', expected {}", spec, targetNames());
  LINNET_TRY(target.backend->checkArgument(target.argument));
  return target;
}

Result<fb::ProgramT> lowerTo(const TargetSpec &target, mlir::ModuleOp planned, WeightSource &given,
                             BlobSink &sink, const KernelListener &listener) {
  const std::unique_ptr<WeightSource> weights = withComputed(planned, given);
  return target.backend->lower(planned, *weights, sink, {target.argument, listener, target.onednn});
}

} // namespace linnet
