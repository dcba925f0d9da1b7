// Runs the module in the interpreter on random inputs after every pass, and names the first pass that changes
// the numbers.
#pragma once
#include "lab/numbers.h"

#include "mlir/Pass/PassInstrumentation.h"

#include <functional>
#include <memory>
#include <string>

namespace linnet::lab {

struct VerifyOptions {
  uint64_t seed = 0;
  /// Allowed difference relative to the largest value of an output. 0: derived from the types of the numbers
  /// (fault.h).
  double tolerance = 0;
  /// Called after each pass that was compared.
  std::function<void(const std::string &pass, double difference)> progress = {};
};

struct Verdict {
  /// One line about the first pass that changed the numbers or whose module did not run; else empty.
  std::string failed;
  int64_t compared = 0; ///< number of compared passes
};

/// An instrumentation for a pass manager on the module. Weights that would hide a fault are replaced by drawn
/// ones (drawn_weights.h). The source of `weights`, and `verdict`, must outlive the run.
std::unique_ptr<mlir::PassInstrumentation> verifyPasses(const reference::WeightProvider &weights,
                                                        const VerifyOptions &options, Verdict &verdict);

} // namespace linnet::lab
