// Typical faults of passes, which tests insert into a pipeline.
#pragma once
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace linnet::testing {

/// A pass that visits each op of one kind and changes one of them wrongly. Each op is one change of the pass
/// (passes/RewriteAction.h), with the name of the pass.
struct Planted {
  const char *name;
  bool planned; ///< runs after the whole pipeline instead of before fusion
  /// The first run sets `place` to the location of the op that it changes.
  std::function<std::unique_ptr<mlir::Pass>(const std::string &pass, std::shared_ptr<std::string> place)>
      make;
};

const std::vector<Planted> &faults();
/// Faults in the results of linnet-quantize, to be inserted after it.
const std::vector<Planted> &integerFaults();
/// Faults in every op of a kind that parameters of 0 and 1 would hide: all biases dropped, layer norm's bias
/// dropped, its gain ignored, two gains swapped.
const std::vector<Planted> &parameterFaults();

} // namespace linnet::testing
