#include "backends/cpu/backend.h"

#include "backends/cpu/description.h"
#include "backends/cpu/lower.h"

namespace linnet::cpu {
namespace {

class CpuBackend : public Backend {
public:
  const TargetDescription &description() const override { return cpu::description(); }
  /// "native", or names of levels: selectIsas checks them when it lowers.
  Result<void> checkArgument(const std::string &) const override { return {}; }
  std::string localArgument() const override { return "native"; }
  bool emits(std::string_view stage, const std::string &argument) const override {
    return stage == "llvm" && !argument.empty(); // without an argument there are several modules
  }
  Result<fb::ProgramT> lower(mlir::ModuleOp planned, WeightSource &weights, BlobSink &blobs,
                             const LowerOptions &options) const override {
    return lowerToCpu(planned, weights, blobs,
                      {.isas = options.argument, .onednn = options.onednn, .listener = options.listener});
  }
};

} // namespace

std::unique_ptr<Backend> makeBackend() { return std::make_unique<CpuBackend>(); }

} // namespace linnet::cpu
