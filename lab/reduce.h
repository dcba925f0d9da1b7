// Reduces a graph to the smallest one that still shows a fault: delta debugging on ops.
#pragma once
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

#include <cstdint>
#include <functional>

namespace linnet::lab {

/// Whether a verified module still shows the fault. The function may change the module.
using StillFaulty = std::function<bool(mlir::ModuleOp)>;

struct Reduction {
  mlir::OwningOpRef<mlir::ModuleOp> module; ///< one entry, whose arguments and results all have names
  int64_t ops = 0;    ///< ops of the entry with params and constants, without the return and fused regions
  int64_t trials = 0; ///< number of modules that were tried
};

/// Removes parts of `module` while `faulty` returns true: entries, the ops after the fault (their operands
/// are returned instead), the ops before it (their results become arguments), single ops, weights (they
/// become arguments, too), results, states. It never fails; in the worst case nothing is removed. `progress`
/// is called before each trial.
Reduction reduce(mlir::ModuleOp module, const StillFaulty &faulty,
                 const std::function<void(int64_t ops)> &progress = {});

/// The number of ops of all entries, counted as Reduction::ops.
int64_t countOps(mlir::ModuleOp module);

} // namespace linnet::lab
