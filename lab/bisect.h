// Finds the one rewrite that makes the numbers wrong, and the smallest graph that shows it.
//
//   1. Passes run one after the other, with the interpreter after each. The faulty pass is the first one that
//      changes the numbers, breaks the memory plan or the module, or crashes.
//   2. The faulty pass runs again with only its first n changes. Bisection over n finds the faulty change.
//   3. The graph before the faulty pass is reduced while the pass still shows the fault (reduce.h).
//
// If every pass is right, the planned module runs on the target and in the interpreter. If the results
// differ, a kernel or its lowering is wrong, and the source graph is reduced while they still differ.
#pragma once
#include "lab/fault.h"
#include "lab/windowed_run.h"

#include "mlir/IR/OwningOpRef.h"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace linnet::lab {

/// A target's results for consecutive calls. States are zero before an entry's first call and kept between
/// its calls. `commands` are those that computed the outputs ("matmul blocks.0.attn.qkv ...").
struct TargetRun {
  std::vector<Outcome> outcomes; ///< one per round of calls; without states and scores
  std::vector<std::string> commands;
};
/// Lowers a planned module and runs it with these weights.
using Target = std::function<Result<TargetRun>(mlir::ModuleOp planned, const Rounds &,
                                               const reference::WeightProvider &)>;

struct BisectOptions {
  uint64_t seed = 0;
  /// Allowed difference relative to the largest value of an output. 0: derived from the types of the numbers
  /// (fault.h).
  double tolerance = 0;
  Target target = {}; ///< empty: only passes are checked
  std::function<void(const std::string &what)> progress = {};
};

struct Finding {
  enum Kind { pass, target } kind = pass;
  Fault fault;           ///< in the whole model
  std::string pass_name; ///< for kind pass: "linnet-alias"
  /// The passes that show the fault on the graph: "linnet-alias{target=cpu}". If the memory plan is faulty,
  /// they include the planning passes before it.
  std::string pass_text;
  size_t pass_number = 0, passes = 0;
  /// The faulty change, which is change `number` of the pass. Absent if the fault remains without any change.
  std::optional<Application> application;
  int64_t number = 0, applications = 0;

  mlir::OwningOpRef<mlir::ModuleOp> graph; ///< the smallest graph that shows the fault
  Fault reduced_fault;                     ///< the fault in that graph
  reference::WeightProvider weights;       ///< the weights that the graph ran with: see drawn_weights.h
  int64_t ops = 0, trials = 0;
  std::vector<std::string> places;   ///< locations of its ops in the original graph, without duplicates
  std::vector<std::string> commands; ///< for kind target: the commands that ran there
};

/// Nothing if there is no fault. `weights` that would hide a fault are replaced by drawn ones
/// (drawn_weights.h). Errors: the module does not run, or the passes of the pipeline do not.
Result<std::optional<Finding>> bisect(mlir::ModuleOp module, mlir::PassManager &pipeline,
                                      const reference::WeightProvider &weights, const BisectOptions &options);

} // namespace linnet::lab
