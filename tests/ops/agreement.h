// For tests: a module on each of a backend's runners, beside the interpreter.
#pragma once
#include "backends/reference/interpreter.h"
#include "passes/Passes.h"

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace linnet::testing {

/// Something that runs a planned module, and that must agree with the interpreter: an instruction set of the
/// cpu, a way to take a gpu's choices. Each program that runs the cases links one definition of
/// runnersUnderTest.
struct Runner {
  std::string name, target;
  /// None where another runner does the very same for a module.
  using Run = std::function<Result<reference::Named>(std::string_view entry, const reference::Named &inputs)>;
  std::function<Result<Run>(mlir::ModuleOp module, const reference::WeightProvider &weights,
                            const PipelineSpec &)>
      load;
  double tolerance = 0; ///< at least, where it rounds more than the others
  bool slow = false;    ///< a thousand times as slow as a device: what takes one seconds is left to others
};
std::vector<Runner> runnersUnderTest();

/// Runs `entry` of the module's text by each runner under test and by the
/// interpreter with the same numbers, and checks that outputs agree within `tolerance` of the largest value
/// (integers: exactly). Inputs are drawn: floats in
/// [-1, 1), the integers by `integers` (input's name -> how many values, default 3) from `least` (default 0)
/// on. dims binds the names.
struct Agreement {
  std::string text;
  std::map<std::string, int64_t> dims = {};
  std::map<std::string, int32_t> integers = {};
  double tolerance = 1e-5;
  std::string entry = "main";
  int repeats = 1; ///< runs one after the other, states kept
  std::map<std::string, int32_t> least = {};
  /// Dimensions of a run more that comes first, with integers of 0: it fills the states. Empty: there is
  /// none.
  std::map<std::string, int64_t> filling = {};
};
void checkAgreement(const Agreement &agreement, const PipelineSpec &pipeline = {});

} // namespace linnet::testing
