// Faults that authors of passes make, to be planted between the passes of a pipeline.
#pragma once
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace linnet::testing {

/// A pass that looks at each op of one kind, as a right one would, and changes those at one place wrongly.
/// Each op is one change of the pass (passes/RewriteAction.h), called like the pass.
struct Planted {
  const char *name;
  bool planned; ///< behind the whole pipeline instead of in front of fusion
  /// `place` is set by the first run: the place of the op that it changes.
  std::function<std::unique_ptr<mlir::Pass>(const std::string &pass, std::shared_ptr<std::string> place)>
      make;
};

const std::vector<Planted> &faults();
/// Faults of linnet-quantize's results: to be planted after it.
const std::vector<Planted> &integerFaults();
/// Faults in every op of a kind, which parameters of 0 and 1 would hide: all biases dropped, layer norm's
/// bias dropped, its gain ignored, two gains swapped.
const std::vector<Planted> &parameterFaults();

} // namespace linnet::testing
