#include "lab/verify.h"

#include "lab/drawn_weights.h"
#include "lab/fault.h"
#include "passes/Kept.h"
#include "support/error.h"

#include "mlir/Pass/Pass.h"

using namespace mlir;

namespace linnet::lab {
namespace {

class Verify : public PassInstrumentation {
public:
  Verify(const reference::WeightProvider &weights, VerifyOptions options, Verdict &verdict)
      : weights(weights), options(std::move(options)), verdict(verdict) {}

  void runBeforePass(Pass *pass, Operation *op) override {
    auto module = llvm::dyn_cast<ModuleOp>(op);
    if (!module || started) return;
    started = true;
    weights = withDrawn(weights, keptIntegers(module));
    auto begun = PassCheck::begin(module, options.seed, options.tolerance, weights);
    if (!begun) return fail("before the first pass", begun.error().message);
    check = std::move(*begun);
  }

  void runAfterPass(Pass *pass, Operation *op) override {
    auto module = llvm::dyn_cast<ModuleOp>(op);
    if (!module || !started || !verdict.failed.empty()) return;
    const std::string name = nameOf(pass);
    double difference = 0;
    auto fault = check->check(name, module, &difference);
    ++verdict.compared;
    if (options.progress) options.progress(name, difference);
    if (fault) fail(name, fault->text);
  }

private:
  /// Passes on functions are nested in a pass without an argument: the pipeline's text names them.
  static std::string nameOf(Pass *pass) {
    if (!pass->getArgument().empty()) return pass->getArgument().str();
    std::string text;
    llvm::raw_string_ostream out(text);
    pass->printAsTextualPipeline(out);
    return text;
  }
  void fail(const std::string &pass, const std::string &why) {
    if (verdict.failed.empty()) verdict.failed = pass + ": " + why;
  }

  reference::WeightProvider weights;
  VerifyOptions options;
  Verdict &verdict;
  bool started = false;
  std::optional<PassCheck> check;
};

} // namespace

std::unique_ptr<PassInstrumentation> verifyPasses(const reference::WeightProvider &weights,
                                                  const VerifyOptions &options, Verdict &verdict) {
  return std::make_unique<Verify>(weights, options, verdict);
}

} // namespace linnet::lab
