// What linnet compile --emit writes instead of an artifact: a stage of the compilation as text.
#pragma once
#include "backends/common/weights.h"
#include "compiler/target.h"

#include "mlir/IR/BuiltinOps.h"

#include <string>

namespace linnet {

/// An error unless `emit` is one of mlir, planned, llvm and spirv, and the target has such a stage.
Result<void> checkEmit(const std::string &emit, const TargetSpec &target);
/// The target whose stage `emit` is, for a command line that names none.
Result<TargetSpec> targetOfEmit(const std::string &emit);

/// Lowers a planned module and keeps nothing but the plan, which the backend completes (passes/Plan.h).
Result<void> completePlan(const TargetSpec &target, mlir::ModuleOp planned, WeightSource &weights);

/// The kernels of a planned module: LLVM's IR of the whole module after optimization, or each shader as
/// spirv-dis writes it, after a line with its name.
Result<std::string> kernelText(const TargetSpec &target, mlir::ModuleOp planned, WeightSource &weights);

} // namespace linnet
