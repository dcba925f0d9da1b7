// Detects faults of a pass by running the module before and after it.
//
// Two comparisons have bounds that are derived from the types of the numbers (rounding.h):
//   - Without narrow types. With all rounding to narrow types removed (widen.h), no pass may change the
//     numbers, not even one that rounds on purpose.
//   - With narrow types. The numbers may move only by the rounding that the last pass which may round
//     (mayRound) has added. Each integer matrix is compared with the matrix that it was made from.
#pragma once
#include "lab/numbers.h"

#include "mlir/IR/OperationSupport.h"

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
/// linnet-round-attention, linnet-mixed-precision, linnet-keep.
bool mayRound(llvm::StringRef pass);

/// Follows a module through passes.
class PassCheck {
public:
  /// `tolerance` is relative to the largest value of an output; 0: derived bounds. `weights` must outlive
  /// this object. Errors: the module does not run, or an output is NaN throughout.
  static Result<PassCheck> begin(mlir::ModuleOp module, uint64_t seed, double tolerance,
                                 const reference::WeightProvider &weights);

  /// `after` is the result of `pass` on the module of begin() or of the last check without a fault.
  /// `difference`, if not null, receives the largest change relative to the largest number of its output.
  std::optional<Fault> check(llvm::StringRef pass, mlir::ModuleOp after, double *difference = nullptr);

private:
  PassCheck(double tolerance, const reference::WeightProvider &weights)
      : tolerance(tolerance), weights(&weights) {}

  double tolerance;
  const reference::WeightProvider *weights;
  std::optional<mlir::OperationFingerPrint> last; ///< of the module that was checked last
  std::vector<Call> calls;
  Outcome meant, stored;  ///< without and with the rounding of narrow types
  Bounds exact, rounding; ///< for `meant` between passes; for `stored` against `meant`
};

/// The first broken rule of an entry's memory plan; "" if there is none or the module is not planned.
std::string brokenPlan(mlir::ModuleOp module);

} // namespace linnet::lab
