#include "compiler/emit.h"

#include "support/error.h"

namespace linnet {
namespace {

/// Discards weights and code, and keeps only their sizes.
class DiscardingSink : public BlobSink {
public:
  Result<void> begin() override {
    blob = {};
    return {};
  }
  Result<void> append(std::span<const std::byte> bytes) override {
    blob.size += bytes.size();
    return {};
  }
  Result<fb::BlobT> end() override { return blob; }

private:
  fb::BlobT blob;
};

} // namespace

Result<void> checkEmit(const std::string &emit, const TargetSpec &target) {
  if (emit == "mlir" || emit == "planned" || target.backend->emits(emit, target.argument)) return {};
  LINNET_ASSIGN(const TargetSpec fitting, targetOfEmit(emit));
  return errorf("--emit {}: expected target {}, found {}", emit, fitting.text(), target.text());
}

Result<TargetSpec> targetOfEmit(const std::string &emit) {
  if (emit == "mlir" || emit == "planned") return parseTarget("cpu");
  for (const Backend *backend : backends())
    if (const std::string local = backend->localArgument(); backend->emits(emit, local))
      return TargetSpec{backend, local};
  return errorf("--emit: expected mlir, planned, llvm or spirv, found '{}'", emit);
}

Result<void> completePlan(const TargetSpec &target, mlir::ModuleOp planned, WeightSource &weights) {
  DiscardingSink sink;
  LINNET_TRY(lowerTo(target, planned, weights, sink));
  return {};
}

Result<std::string> kernelText(const TargetSpec &target, mlir::ModuleOp planned, WeightSource &weights) {
  // An LLVM module has all kernels; shaders are separate.
  std::string whole, each;
  const KernelListener listener = [&](const KernelText &kernel) {
    if (kernel.form == "ll" && kernel.name.empty()) whole += kernel.text;
    if (kernel.form == "spvasm") each += fmt::format("; ---- {}\n{}\n", kernel.name, kernel.text);
  };
  DiscardingSink sink;
  LINNET_ASSIGN(const fb::ProgramT program, lowerTo(target, planned, weights, sink, listener));
  return whole + each;
}

} // namespace linnet
