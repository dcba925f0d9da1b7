// What a pass may do wrong, found by running the module before and after it.
//
// Two comparisons have bounds that are derived from the types of the numbers (rounding.h):
//   - What the module means. With all rounding to narrow types taken out (widen.h), every pass, even one that rounds on
//     purpose, gives what the module before it gave.
//   - What its types make of it. Rounding moves the numbers by no more than the rounding that the last pass which may
//     round (mayRound) has put in. Matrices of integers are compared one by one with what they were made from.
#pragma once
#include "lab/numbers.h"

#include <optional>
#include <string>

namespace linnet::lab {

struct Fault {
  enum Kind {
    numbers, ///< outputs differ by more than their bounds
    plan,    ///< the memory plan breaks its own rules (verifyPlan)
    crash,   ///< the pass ends its process
    invalid, ///< the pass fails, or leaves a module that the verifier or the interpreter refuses
  };
  Kind kind = numbers;
  std::string text; ///< one line: "changes the numbers: @main y[3]: ..."
};

/// Passes that may store numbers in narrower types: linnet-quantize, linnet-quantize-rows,
/// linnet-round-attention, linnet-mixed-precision.
bool mayRound(llvm::StringRef pass);

/// Follows a module through passes.
class PassCheck {
public:
  /// `tolerance`: of the largest value of an output, instead of derived bounds; 0: derived ones. `weights`
  /// must outlive this. Fails where the module cannot run, or gives nothing but NaN.
  static Result<PassCheck> begin(mlir::ModuleOp module, uint64_t seed, double tolerance,
                                 const reference::WeightProvider &weights);

  /// `after` is what `pass` left of the module that begin(), or the last check without a fault, has seen.
  /// `difference`, if given, gets how far the pass moved the numbers, of the largest of an output.
  std::optional<Fault> check(llvm::StringRef pass, mlir::ModuleOp after, double *difference = nullptr);

private:
  PassCheck(double tolerance, const reference::WeightProvider &weights)
      : tolerance(tolerance), weights(&weights) {}

  double tolerance;
  const reference::WeightProvider *weights;
  std::vector<Call> calls;
  Outcome meant, stored;  ///< without and with the rounding of narrow types
  Bounds exact, rounding; ///< of `meant` between passes; of `stored` from `meant`
};

/// The first rule of its memory plan that an entry breaks, "" when none or not planned.
std::string brokenPlan(mlir::ModuleOp module);

} // namespace linnet::lab
