// Compares a module on each of a backend's runners with the interpreter, for tests.
#pragma once
#include "backends/reference/interpreter.h"
#include "passes/Passes.h"

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace linnet::testing {

/// A way to run a planned module that must agree with the interpreter: an instruction set of the CPU, or a
/// way to select a GPU's choices. Each program that runs the cases links one definition of runnersUnderTest.
struct Runner {
  std::string name, target;
  /// None where another runner does the very same for a module.
  using Run = std::function<Result<reference::Named>(std::string_view entry, const reference::Named &inputs)>;
  std::function<Result<Run>(mlir::ModuleOp module, const reference::WeightProvider &weights,
                            const PipelineSpec &)>
      load;
  double tolerance = 0; ///< least tolerance, for a runner that rounds more than others
  bool slow = false;    ///< a thousand times as slow as a device: large cases are skipped
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
  int repeats = 1; ///< number of consecutive runs with kept states
  std::map<std::string, int32_t> least = {};
  /// Dimensions of an additional first run with integers of 0, which fills the states. Empty: no such run.
  std::map<std::string, int64_t> filling = {};
};
void checkAgreement(const Agreement &agreement, const PipelineSpec &pipeline = {});

} // namespace linnet::testing
