// What a pass may do wrong, found by running the module before and after it.
#pragma once
#include "lab/numbers.h"

#include <optional>
#include <string>

namespace linnet::lab {

struct Fault {
  enum Kind {
    numbers, ///< outputs differ by more than the tolerance
    plan,    ///< the memory plan breaks its own rules (verifyPlan)
    invalid, ///< the pass fails, or leaves a module that the verifier or the interpreter refuses
  };
  Kind kind = numbers;
  std::string text; ///< one line: "changes the numbers: @main y[3]: ..."
};

/// Passes that round on purpose are not held to the tolerance: linnet-quantize, linnet-quantize-rows,
/// linnet-round-attention, linnet-mixed-precision.
bool isLossy(llvm::StringRef pass);

/// Runs `after`, what `pass` left, and compares with what the module gave before it; `found`, if given, gets
/// what it gave. `difference`, if given, gets the worst of them, fault or not.
std::optional<Fault> faultOf(llvm::StringRef pass, mlir::ModuleOp after, const std::vector<Call> &calls,
                             const Outcome &before, const reference::WeightProvider &weights,
                             double tolerance, Outcome *found = nullptr, double *difference = nullptr);

/// The first rule of its memory plan that an entry breaks, "" when none or not planned.
std::string brokenPlan(mlir::ModuleOp module);

} // namespace linnet::lab
