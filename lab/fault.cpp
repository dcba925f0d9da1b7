#include "lab/fault.h"

#include "ir/Shapes.h"
#include "lab/rounding.h"
#include "lab/widen.h"
#include "passes/Plan.h"
#include "support/error.h"

using namespace mlir;

namespace linnet::lab {

bool mayRound(StringRef pass) {
  return pass == "linnet-quantize" || pass == "linnet-quantize-rows" || pass == "linnet-round-attention" ||
         pass == "linnet-mixed-precision" || pass == "linnet-keep";
}

std::string brokenPlan(ModuleOp module) {
  if (!module->hasAttr("linnet.target")) return "";
  for (auto function : module.getOps<func::FuncOp>())
    if (ir::isEntry(function))
      if (std::string broken = verifyPlan(function); !broken.empty()) return broken;
  return "";
}

namespace {

Result<Bounds> boundsWith(const Widened &widened, const std::vector<Call> &calls,
                          const reference::WeightProvider &weights, bool types) {
  LINNET_ASSIGN(std::vector<Bounds> bounds, roundingBounds(widened, {calls}, weights, {.types = types}));
  return std::move(bounds.front());
}

} // namespace

Result<PassCheck> PassCheck::begin(ModuleOp module, uint64_t seed, double tolerance,
                                   const reference::WeightProvider &weights) {
  PassCheck made(tolerance, weights);
  LINNET_ASSIGN(made.calls, drawCalls(module, seed));
  const Widened widened = widen(module);
  LINNET_ASSIGN(made.meant, interpret(*widened.module, made.calls, weights));
  if (std::string why = notComparable(made.meant); !why.empty()) return Error{why};
  made.stored = made.meant;
  if (widened.narrow) {
    LINNET_ASSIGN(made.stored, interpret(module, made.calls, weights));
  }
  if (tolerance > 0) {
    made.exact = boundsOf(made.meant, tolerance);
  } else {
    LINNET_ASSIGN(made.exact, boundsWith(widened, made.calls, weights, false));
  }
  made.last = OperationFingerPrint(module);
  made.rounding = made.exact;
  if (widened.narrow) {
    LINNET_ASSIGN(Bounds types, boundsWith(widened, made.calls, weights, true));
    made.rounding = larger(made.exact, types);
  }
  return made;
}

std::optional<Fault> PassCheck::check(StringRef pass, ModuleOp after, double *difference) {
  auto invalid = [](const Error &error) { return Fault{Fault::invalid, error.message}; };
  const OperationFingerPrint print(after);
  if (print == last) { // the pass changed nothing
    if (difference) *difference = 0;
    return std::nullopt;
  }
  const Widened widened = widen(after);
  auto now = interpret(*widened.module, calls, *weights);
  if (!now) return invalid(now.error());
  Outcome rounded = *now;
  Bounds allowed = rounding;
  if (widened.narrow) {
    auto ran = interpret(after, calls, *weights);
    if (!ran) return invalid(ran.error());
    rounded = std::move(*ran);
    if (mayRound(pass)) {
      auto types = boundsWith(widened, calls, *weights, true);
      if (!types) return invalid(types.error());
      allowed = larger(exact, *types);
    }
  }
  if (difference) *difference = compare(rounded, stored).worst;
  if (Difference worst = compare(*now, meant, exact); worst.excess > 1)
    return Fault{Fault::numbers, "changes the numbers: " + worst.text()};
  if (widened.narrow) {
    if (Difference worst = compare(rounded, *now, allowed); worst.excess > 1)
      return Fault{Fault::numbers, "rounds more than the types of its results explain: " + worst.text()};
    auto wrong = wrongIntegers(after, widened, *weights);
    if (!wrong) return invalid(wrong.error());
    if (!wrong->empty()) return Fault{Fault::numbers, "rounds more than half a step: " + *wrong};
  }
  if (std::string broken = brokenPlan(after); !broken.empty())
    return Fault{Fault::plan, "breaks the memory plan: " + broken};
  meant = std::move(*now), stored = std::move(rounded), rounding = std::move(allowed);
  last = print;
  return std::nullopt;
}

} // namespace linnet::lab
