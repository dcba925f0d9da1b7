// What linnet compile --emit writes instead of an artifact: a stage of the compilation as text.
#pragma once
#include "backends/common/weights.h"
#include "compiler/target.h"

#include "mlir/IR/BuiltinOps.h"

#include <string>

namespace linnet {

/// An error unless `emit` is one of mlir, planned, llvm and spirv, and the target has such a stage.
Result<void> checkEmit(const std::string &emit, const TargetSpec &target);

/// The kernels of a planned module: for "llvm" the module in LLVM's IR after optimization, for "spirv" each
/// shader as spirv-dis writes it, behind a line with its name.
Result<std::string> kernelText(const std::string &emit, const TargetSpec &target, mlir::ModuleOp planned,
                               WeightSource &weights);

} // namespace linnet
