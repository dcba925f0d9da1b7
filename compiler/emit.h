// linnet compile --emit: one stage of the compilation as text.
#pragma once
#include "backends/common/weights.h"
#include "compiler/target.h"

#include "mlir/IR/BuiltinOps.h"

#include <string>

namespace linnet {

/// An error unless `emit` is one of mlir, planned, llvm and spirv, and the target has such a stage.
Result<void> checkEmit(const std::string &emit, const TargetSpec &target);
/// The default target of stage `emit`.
Result<TargetSpec> targetOfEmit(const std::string &emit);

/// Lowers a planned module only to let the backend complete the plan (passes/Plan.h).
Result<void> completePlan(const TargetSpec &target, mlir::ModuleOp planned, WeightSource &weights);

/// The kernels of a planned module: the LLVM IR of the whole module after optimization, or each shader as
/// spirv-dis prints it, after a line with its name.
Result<std::string> kernelText(const TargetSpec &target, mlir::ModuleOp planned, WeightSource &weights);

} // namespace linnet
