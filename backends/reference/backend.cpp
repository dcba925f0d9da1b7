#include "backends/reference/backend.h"

#include "backends/reference/description.h"
#include "backends/reference/program.h"

namespace linnet::reference {
namespace {

class ReferenceBackend : public Backend {
public:
  const TargetDescription &description() const override { return reference::description(); }
  Result<fb::ProgramT> lower(mlir::ModuleOp planned, WeightSource &weights, BlobSink &blobs,
                             const LowerOptions &) const override {
    return makeReferenceProgram(planned, weights, blobs);
  }
};

} // namespace

std::unique_ptr<Backend> makeBackend() { return std::make_unique<ReferenceBackend>(); }

} // namespace linnet::reference
