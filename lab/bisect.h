// From "the numbers are wrong" to the one rewrite that makes them so, and the smallest graph that shows it.
//
//   1. Passes run one after the other, the interpreter after each: the first that changes the numbers (or
//      breaks the memory plan, or the module, or crashes) is the culprit.
//   2. The culprit runs again with only its first n changes, n found by bisection: change number n is it.
//   3. The graph in front of the culprit is cut down while the culprit still shows the fault (reduce.h).
//
// When every pass is right, the planned module runs on the target beside the interpreter. If those differ, a
// kernel (or the lowering to it) is wrong, and the source graph is cut down while they still differ.
#pragma once
#include "lab/fault.h"
#include "lab/windowed_run.h"

#include "mlir/IR/OwningOpRef.h"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace linnet::lab {

/// What a target gave for calls made one after the other, states kept between those of one entry and zero
/// before the first: outputs by entry, and the commands that computed them ("matmul blocks.0.attn.qkv ...").
struct TargetRun {
  std::vector<Outcome> outcomes; ///< one for each round of calls; without states and scores
  std::vector<std::string> commands;
};
/// Lowers a planned module and runs it with these weights.
using Target = std::function<Result<TargetRun>(mlir::ModuleOp planned, const Rounds &,
                                               const reference::WeightProvider &)>;

struct BisectOptions {
  uint64_t seed = 0;
  /// Largest difference that is rounding, relative to the largest value of an output; 0: derived from the
  /// types of the numbers (fault.h).
  double tolerance = 0;
  Target target = {}; ///< empty: passes alone are looked at
  std::function<void(const std::string &what)> progress = {};
};

struct Finding {
  enum Kind { pass, target } kind = pass;
  Fault fault;           ///< in the whole model
  std::string pass_name; ///< "linnet-alias"; of kind pass
  /// What runs on the graph to show it: "linnet-alias{target=cpu}"; where the memory plan is at fault, the
  /// passes that plan in front of it, too.
  std::string pass_text;
  size_t pass_number = 0, passes = 0;
  /// The change that makes the fault, the number-th of those the pass tries; none where the pass does it
  /// whatever is left out.
  std::optional<Application> application;
  int64_t number = 0, applications = 0;

  mlir::OwningOpRef<mlir::ModuleOp> graph; ///< the smallest that shows the fault
  Fault reduced_fault;                     ///< as it shows there
  reference::WeightProvider weights;       ///< what the graph was run with: see drawn_weights.h
  int64_t ops = 0, trials = 0;
  std::vector<std::string> places;   ///< of its ops in the original graph, each once
  std::vector<std::string> commands; ///< of kind target: what ran there
};

/// Nothing when all is right. `weights` that would hide a fault are drawn (drawn_weights.h). An error where
/// it cannot be told: the module itself does not run, or the pipeline's passes cannot.
Result<std::optional<Finding>> bisect(mlir::ModuleOp module, mlir::PassManager &pipeline,
                                      const reference::WeightProvider &weights, const BisectOptions &options);

} // namespace linnet::lab
