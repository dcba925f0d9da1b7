// The smallest part of a graph that still shows a fault: delta debugging on ops.
#pragma once
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

#include <cstdint>
#include <functional>

namespace linnet::lab {

/// Whether a module, which has passed the verifier, still shows the fault. May change it.
using StillFaulty = std::function<bool(mlir::ModuleOp)>;

struct Reduction {
  mlir::OwningOpRef<mlir::ModuleOp> module; ///< one entry, whose arguments and results all have names
  int64_t ops = 0; ///< of the entry, params and constants included, the return not; not those in linnet.fused
  int64_t trials = 0; ///< modules that were tried
};

/// Cuts `module` down while `faulty` holds: entries, the ops behind the fault (what they read is returned
/// instead), the ops in front of it (what they gave becomes arguments), single ops, weights (arguments too),
/// results, states. Fails never: at worst nothing could be cut. `progress` is called before each trial.
Reduction reduce(mlir::ModuleOp module, const StillFaulty &faulty,
                 const std::function<void(int64_t ops)> &progress = {});

/// As counted above, of all entries.
int64_t countOps(mlir::ModuleOp module);

} // namespace linnet::lab
