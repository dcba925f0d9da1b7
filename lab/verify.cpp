#include "lab/verify.h"

#include "lab/fault.h"
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
    auto drawn = drawCalls(module, options.seed);
    if (!drawn) return fail("before the first pass", drawn.error().message);
    calls = std::move(*drawn);
    auto first = runCalls(module, calls, weights);
    if (!first) return fail("before the first pass", first.error().message);
    last = std::move(*first);
  }

  void runAfterPass(Pass *pass, Operation *op) override {
    auto module = llvm::dyn_cast<ModuleOp>(op);
    std::string name = pass->getArgument().str();
    if (!module || !started || name.empty() || !verdict.failed.empty()) return;
    double difference = 0;
    auto fault = faultOf(name, module, calls, last, weights, options.tolerance, &last, &difference);
    ++verdict.compared;
    if (options.progress) options.progress(name, difference);
    if (fault) fail(name, fault->text);
  }

private:
  void fail(const std::string &pass, const std::string &why) {
    if (verdict.failed.empty()) verdict.failed = pass + ": " + why;
  }

  const reference::WeightProvider &weights;
  VerifyOptions options;
  Verdict &verdict;
  bool started = false;
  std::vector<Call> calls;
  Outcome last;
};

} // namespace

std::unique_ptr<PassInstrumentation> verifyPasses(const reference::WeightProvider &weights,
                                                  const VerifyOptions &options, Verdict &verdict) {
  return std::make_unique<Verify>(weights, options, verdict);
}

} // namespace linnet::lab
