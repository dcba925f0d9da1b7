#include "compiler/pipeline.h"

#include "compiler/diagnostics.h"
#include "compiler/plugins.h"
#include "compiler/reproducer.h"
#include "compiler/weights.h"
#include "lab/crash_fallback.h"
#include "lab/verify.h"
#include "lab/windowed_run.h"
#include "passes/Passes.h"
#include "support/error.h"

#include "mlir/Pass/PassInstrumentation.h"
#include "mlir/Pass/PassManager.h"

#include <chrono>

using namespace mlir;

namespace linnet {
namespace {

using Clock = std::chrono::steady_clock;

/// Records the time of each pass and the one that failed.
class PassClock : public PassInstrumentation {
public:
  PassClock(std::vector<PhaseTime> &phases, std::string &failed) : phases(phases), failed(failed) {}
  void runBeforePass(Pass *, Operation *) override { begins.push_back(Clock::now()); }
  void runAfterPass(Pass *pass, Operation *) override { note(pass); }
  void runAfterPassFailed(Pass *pass, Operation *) override {
    note(pass);
    if (failed.empty()) failed = nameOf(pass);
  }

private:
  static std::string nameOf(Pass *pass) {
    return pass->getArgument().empty() ? pass->getName().str() : pass->getArgument().str();
  }
  void note(Pass *pass) {
    double seconds = std::chrono::duration<double>(Clock::now() - begins.back()).count();
    begins.pop_back();
    // An adaptor only runs other passes, which are counted already.
    if (!pass->getArgument().empty()) phases.push_back({nameOf(pass), seconds});
  }
  std::vector<PhaseTime> &phases;
  std::string &failed;
  std::vector<Clock::time_point> begins;
};

} // namespace

std::string kvCacheOf(const CompileOptions &options) {
  if (options.kv_cache != "auto") return options.kv_cache;
  return options.dtype == "f32" ? "f32" : "f16";
}

Result<void> fillPipeline(PassManager &manager, const std::string &target, const CompileOptions &options) {
  PipelineSpec spec{target,        options.opt_level, options.disabled_passes, options.pass_pipeline,
                    options.dtype, kvCacheOf(options)};
  LINNET_TRY(loadPassPlugins(options.pass_plugins));
  if (!options.first_passes.empty())
    LINNET_TRY(appendPasses(manager, options.first_passes, "--first-passes", options.disabled_passes));
  return buildPipeline(manager, spec);
}

Result<std::vector<std::string>> optionalPasses(const CompileOptions &options) {
  const std::string &spec = options.targets.front();
  const TargetDescription *target = findTarget(spec.substr(0, spec.find(':')));
  if (!target) return errorf("unknown target '{}', expected {}", spec, targetNames());
  LINNET_TRY(loadPassPlugins(options.pass_plugins));
  OpPassManager first(ModuleOp::getOperationName());
  if (!options.first_passes.empty()) LINNET_TRY(appendPasses(first, options.first_passes, "--first-passes"));
  std::vector<std::string> all, names;
  for (Pass &pass : first.getPasses()) all.push_back(pass.getArgument().str());
  llvm::append_range(all, defaultPasses(*target, options.opt_level));
  for (const std::string &name : all)
    if (!name.empty() && !llvm::is_contained(requiredPasses(), name) && !llvm::is_contained(names, name))
      names.push_back(name);
  return names;
}

Result<void> runPipeline(ModuleOp module, const std::string &target, const CompileOptions &options,
                         WeightSource &weights, CompileReport &report, dump::Dump *dump) {
  PassManager all(module.getContext(), ModuleOp::getOperationName()),
      before_crash(module.getContext(), ModuleOp::getOperationName());
  std::string failed;
  DiagnosticCollector diagnostics(module.getContext());
  LINNET_TRY(fillPipeline(all, target, options));
  lab::WindowedRun passes(all);
  // After a crash the copy repeats the passes in a child process to learn which one it was.
  lab::CrashFallback fallback;
  std::optional<std::string> crash;
  if (fallback.crashed()) {
    crash = passes.crash(module, {0, passes.passes()});
    if (!crash)
      return errorf("the process crashed while passes ran, but no pass crashed when they ran again");
  }
  const size_t crashing = passes.lastPass();
  for (size_t pass = 0; crash && pass < crashing; ++pass)
    LINNET_TRY(appendPasses(before_crash, passes.text(pass), "the pipeline"));
  PassManager &manager = crash ? before_crash : all;
  if (dump) {
    // Added first, so it is called last after a pass, and its time is not counted.
    dump->begin(target, module);
    manager.addInstrumentation(dump->instrumentation(module, report.phases));
  }
  reference::WeightProvider provider = providerOf(weights);
  lab::Verdict verdict;
  if (options.verify_passes) {
    auto note = [&](const std::string &pass, double difference) {
      report.differences.emplace_back(pass, difference);
      if (options.progress) options.progress("verifying: " + pass, 0);
    };
    manager.addInstrumentation(lab::verifyPasses(provider, {options.seed, options.tolerance, note}, verdict));
  }
  // Added last, so it is called first after a pass, and it measures only the pass.
  manager.addInstrumentation(std::make_unique<PassClock>(report.phases, failed));
  const bool ran = succeeded(manager.run(module));
  if (!verdict.failed.empty()) return Error{"--verify-passes: " + verdict.failed};
  if (!ran)
    return errorf("{}{}", failed.empty() ? "" : failed + ": ",
                  diagnostics.error("the pass failed and did not say why").message);
  if (!crash) return {};
  const std::string fault = passes.name(crashing) + " " + *crash;
  if (dump) dump->crashed(passes.name(crashing), *crash);
  LINNET_ASSIGN(const std::string path, writeReproducer(module, passes.text(crashing), fault, options));
  return errorf("{}; the graph in front of it and the command that repeats it: {}", fault, path);
}

} // namespace linnet
