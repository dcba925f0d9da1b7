// A target of a compilation, as --target names it, and the door of its backend.
#pragma once
#include "backends/common/weights.h"
#include "backends/cpu/codegen.h"
#include "runtime/artifact/artifact_generated.h"
#include "support/result.h"

#include "mlir/IR/BuiltinOps.h"

#include <functional>
#include <span>
#include <string>

namespace linnet {

struct TargetSpec {
  std::string name, argument; ///< "cpu", "native"
  std::string text() const { return argument.empty() ? name : name + ":" + argument; }
};

/// What is told of kernels while they are made; each may be empty.
struct KernelListener {
  cpu::KernelDump cpu;
  std::function<void(const std::string &name, std::span<const uint32_t> words)> vulkan;
};

/// The error tells what there is.
Result<TargetSpec> parseTarget(const std::string &spec);

/// `planned`'s program.
Result<fb::ProgramT> lowerTo(const TargetSpec &target, mlir::ModuleOp planned, WeightSource &weights,
                             BlobSink &sink, const KernelListener &listener = {});

} // namespace linnet
