#include "lab/fault.h"

#include "ir/Shapes.h"
#include "passes/Plan.h"

using namespace mlir;

namespace linnet::lab {

bool isLossy(StringRef pass) {
  return pass == "linnet-quantize" || pass == "linnet-quantize-rows" || pass == "linnet-round-attention" ||
         pass == "linnet-mixed-precision";
}

std::string brokenPlan(ModuleOp module) {
  if (!module->hasAttr("linnet.target")) return "";
  for (auto function : module.getOps<func::FuncOp>())
    if (ir::isEntry(function))
      if (std::string broken = verifyPlan(function); !broken.empty()) return broken;
  return "";
}

std::optional<Fault> faultOf(StringRef pass, ModuleOp after, const std::vector<Call> &calls,
                             const Outcome &before, const reference::WeightProvider &weights,
                             double tolerance, Outcome *found, double *difference) {
  auto now = runCalls(after, calls, weights);
  if (!now) return Fault{Fault::invalid, now.error().message};
  Difference worst = compare(*now, before);
  if (difference) *difference = worst.worst;
  if (worst.worst > tolerance && !isLossy(pass))
    return Fault{Fault::numbers, "changes the numbers: " + worst.text()};
  if (std::string broken = brokenPlan(after); !broken.empty())
    return Fault{Fault::plan, "breaks the memory plan: " + broken};
  if (found) *found = std::move(*now);
  return std::nullopt;
}

} // namespace linnet::lab
