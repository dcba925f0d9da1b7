#include "compiler/emit.h"

#include "compiler/dump/assembly.h"
#include "support/error.h"

namespace linnet {
namespace {

/// Takes weights and code, and keeps nothing but their sizes.
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
  if (emit == "mlir" || emit == "planned") return {};
  if (emit == "llvm" && target.name == "cpu" && !target.argument.empty()) return {};
  if (emit == "spirv" && target.name == "vulkan") return {};
  if (emit == "llvm")
    return errorf("--emit llvm writes one module: expected target cpu:native, found {}", target.text());
  if (emit == "spirv") return errorf("--emit spirv: expected target vulkan, found {}", target.text());
  return errorf("--emit: expected mlir, planned, llvm or spirv, found '{}'", emit);
}

Result<std::string> kernelText(const std::string &emit, const TargetSpec &target, mlir::ModuleOp planned,
                               WeightSource &weights) {
  std::string text;
  KernelListener listener;
  if (emit == "llvm")
    listener.cpu = [&](const cpu::Isa &, std::string_view, std::string_view what, std::string_view content) {
      if (what == cpu::kModuleText) text += content;
    };
  else
    listener.vulkan = [&](const std::string &name, std::span<const uint32_t> words) {
      text += "; ---- " + name + "\n" + dump::disassemble(words) + "\n";
    };
  DiscardingSink sink;
  LINNET_ASSIGN(const fb::ProgramT program, lowerTo(target, planned, weights, sink, listener));
  return text;
}

} // namespace linnet
