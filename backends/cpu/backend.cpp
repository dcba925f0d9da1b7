#include "backends/cpu/backend.h"

#include "backends/cpu/description.h"
#include "backends/cpu/lower.h"

namespace linnet::cpu {
namespace {

class CpuBackend : public Backend {
public:
  const TargetDescription &description() const override { return cpu::description(); }
  /// Accepts every argument: selectIsas checks "native" and the names of levels later, while lowering.
  Result<void> checkArgument(const std::string &) const override { return {}; }
  std::string localArgument() const override { return "native"; }
  bool emits(std::string_view stage, const std::string &argument) const override {
    // without an argument each level has its own LLVM module, so there is no single text
    return stage == "llvm" && !argument.empty();
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
