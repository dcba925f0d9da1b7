#include "compiler/bisect.h"

#include "compiler/clock.h"
#include "compiler/graph_file.h"
#include "compiler/input.h"
#include "compiler/keep.h"
#include "compiler/pipeline.h"
#include "compiler/reproducer.h"
#include "compiler/target.h"
#include "compiler/weights.h"
#include "frontend/checkpoint/safetensors.h"
#include "ir/Linnet.h"
#include "lab/bisect.h"
#include "lab/loaded_program.h"
#include "passes/Kept.h"
#include "support/error.h"
#include "support/file.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/MLIRContext.h"

#include <set>

using namespace mlir;

namespace linnet {
namespace {

class ModelBisection {
public:
  explicit ModelBisection(const CompileOptions &options) : options(options) {}

  Result<BisectReport> run() {
    double begin = now();
    LINNET_TRY(chooseTarget());
    LINNET_ASSIGN(input, ModelInput::open(options));
    LINNET_ASSIGN(options, withDtype(options, input));
    context.disableMultithreading();
    context.loadDialect<ir::LinnetDialect, func::FuncDialect>();
    LINNET_ASSIGN(OwningOpRef<ModuleOp> graph, input.build(context, options));
    LINNET_TRY(checkGraph(*graph, *input.weights));
    PassManager manager(&context, ModuleOp::getOperationName());
    LINNET_TRY(fillPipeline(manager, target.name(), options));
    report.passes = manager.size();
    reference::WeightProvider weights = providerOf(*input.weights);
    lab::BisectOptions bisect{options.seed, options.tolerance, targetRun(), progress()};
    LINNET_ASSIGN(std::optional<lab::Finding> found, lab::bisect(*graph, manager, weights, bisect));
    if (found) {
      describe(*found);
      LINNET_TRY(write(*found));
    }
    report.seconds = now() - begin;
    return std::move(report);
  }

private:
  Result<void> chooseTarget() {
    if (options.targets.size() != 1) return errorf("expected one target, found {}", options.targets.size());
    LINNET_ASSIGN(target, parseTarget(options.targets[0]));
    target.onednn = options.onednn;
    if (target.argument.empty()) target.argument = target.backend->localArgument();
    return {};
  }

  std::function<void(const std::string &)> progress() const {
    return [this](const std::string &what) {
      if (options.progress) options.progress(what, 0);
    };
  }

  /// The target to compare; empty for the interpreter itself.
  lab::Target targetRun() {
    if (target.name() == "reference") return {};
    return [this](ModuleOp planned, const lab::Rounds &rounds,
                  const reference::WeightProvider &weights) -> Result<lab::TargetRun> {
      const std::unique_ptr<WeightSource> source = weightsOf(weights);
      auto lower = [&](BlobSink &blobs) { return lowerTo(target, planned, *source, blobs); };
      LINNET_ASSIGN(lab::LoadedProgram program, lab::LoadedProgram::make(lower));
      return lab::runRounds(program, rounds);
    };
  }

  void describe(const lab::Finding &found) {
    report.found = true;
    report.kind = found.kind == lab::Finding::pass ? "pass" : "target";
    report.fault = found.fault.text;
    report.reduced_fault = found.reduced_fault.text;
    report.pass = found.pass_name;
    report.pass_number = found.pass_number;
    if (found.application) {
      report.rewrite = found.application->name;
      report.op = found.application->op;
      report.location = found.application->location;
      report.application = found.number;
    }
    report.applications = found.applications;
    report.ops = found.ops, report.trials = found.trials;
    report.places = found.places, report.commands = found.commands;
  }

  Result<void> write(lab::Finding &found) {
    LINNET_TRY(writeWeights(*found.graph, found.weights));
    report.graph_file = options.output;
    report.repeat = repeatCommand(found);
    std::string text = "// Found by linnet bisect in " + options.input + ".\n";
    text += "// " + (report.pass.empty() ? report.reduced_fault : report.pass + " " + report.reduced_fault) +
            "\n";
    if (!report.rewrite.empty())
      text += "// " + report.rewrite + " on " + report.op + " of " +
              (report.location.empty() ? "no known place" : report.location) + "\n";
    text += "// " + report.repeat + "\n";
    return writeTextFile(options.output, text + moduleText(*found.graph));
  }

  /// Writes the remaining weights of the graph to a file next to it.
  Result<void> writeWeights(ModuleOp graph, const reference::WeightProvider &weights) {
    std::set<std::string> names;
    graph.walk([&](ir::ParamOp param) {
      auto computed = graph.lookupSymbol<func::FuncOp>(param.getName());
      if (computed) return;
      names.insert(param.getName().str());
      if (const auto form = keptForm(graph, param.getName()); form && form->isInteger() && !form->rounded)
        for (llvm::StringRef suffix : {kIntegersSuffix, kScalesSuffix})
          names.insert((param.getName() + suffix).str());
    });
    if (names.empty()) return {};
    std::vector<TensorToWrite> tensors;
    for (const std::string &name : names) {
      LINNET_ASSIGN(reference::Tensor tensor, weights(name));
      tensors.push_back({name, StorageType::f32, tensor.shape, [tensor](const auto &sink) {
                           return sink(std::as_bytes(std::span(tensor.data(), size_t(tensor.size()))));
                         }});
    }
    report.weights_file = options.output + ".safetensors";
    return writeSafetensors(report.weights_file, tensors);
  }

  std::string repeatCommand(const lab::Finding &found) const {
    std::string line = "linnet bisect " + shellWord(options.output) + " --target " + options.targets[0];
    auto add = [&](const char *option, const std::string &value) {
      line += std::string(" ") + option + " " + shellWord(value);
    };
    if (!report.weights_file.empty()) add("--weights", report.weights_file);
    for (const std::string &plugin : options.pass_plugins) add("--load-pass-plugin", plugin);
    if (found.kind == lab::Finding::pass) {
      add("--pass-pipeline", found.pass_text);
    } else {
      line += fmt::format(" -O {}", options.opt_level);
      if (!options.onednn) line += " --no-onednn";
      if (options.dtype != "f32") add("--dtype", options.dtype);
      if (options.kv_cache != "auto") add("--kv-cache", options.kv_cache);
      for (const std::string &pass : options.disabled_passes) add("--disable-pass", pass);
      if (!options.first_passes.empty()) add("--first-passes", options.first_passes);
      if (!options.pass_pipeline.empty()) add("--pass-pipeline", options.pass_pipeline);
    }
    if (options.seed) add("--seed", fmt::format("{}", options.seed));
    if (options.tolerance != CompileOptions().tolerance)
      add("--tolerance", fmt::format("{}", options.tolerance));
    return line + " -o again.mlir";
  }

  CompileOptions options;
  TargetSpec target;
  MLIRContext context;
  ModelInput input;
  BisectReport report;
};

} // namespace

Result<BisectReport> bisectModel(const CompileOptions &options) { return ModelBisection(options).run(); }

} // namespace linnet
