#include "compiler/compile.h"

#include "chat/template.h"
#include "compiler/cache.h"
#include "compiler/choose_dtype.h"
#include "compiler/clock.h"
#include "compiler/dump/dump.h"
#include "compiler/emit.h"
#include "compiler/graph_file.h"
#include "compiler/input.h"
#include "compiler/keep.h"
#include "compiler/known_answers.h"
#include "compiler/pipeline.h"
#include "compiler/provenance.h"
#include "compiler/reproducer.h"
#include "compiler/target.h"
#include "compiler/training_graph.h"
#include "compiler/weights.h"
#include "frontend/model/sampler.h"
#include "ir/Linnet.h"
#include "ir/Shapes.h"
#include "linnet/version.h"
#include "passes/Plan.h"
#include "passes/Target.h"
#include "runtime/artifact/writer.h"
#include "support/error.h"
#include "support/file.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/MLIRContext.h"
#include "support/json.h"

#include <algorithm>
#include <filesystem>
#include <set>

namespace linnet {
namespace {

/// Forwards bytes and reports the written share of the expected total.
class CountingSink : public BlobSink {
public:
  CountingSink(ArtifactWriter &writer, uint64_t expected, const CompileOptions &options)
      : writer(writer), expected(std::max<uint64_t>(expected, 1)), options(options) {}
  Result<void> begin() override { return writer.begin(); }
  Result<void> append(std::span<const std::byte> bytes) override {
    done += bytes.size();
    if (options.progress)
      options.progress("packing weights",
                       std::min(1.0, static_cast<double>(done) / static_cast<double>(expected)));
    return writer.append(bytes);
  }
  Result<fb::BlobT> end() override { return writer.end(); }

private:
  ArtifactWriter &writer;
  uint64_t expected, done = 0;
  const CompileOptions &options;
};

Result<std::vector<TargetSpec>> targetsOf(const CompileOptions &options) {
  std::vector<TargetSpec> targets;
  std::set<std::string> names;
  if (options.targets.empty() && !options.emit.empty()) {
    LINNET_ASSIGN(TargetSpec target, targetOfEmit(options.emit));
    targets.push_back(std::move(target));
  }
  for (const std::string &spec : options.targets) {
    LINNET_ASSIGN(TargetSpec target, parseTarget(spec));
    if (!names.insert(target.name()).second) return errorf("target '{}' is given twice", target.name());
    targets.push_back(std::move(target));
  }
  if (targets.empty()) return errorf("expected a target: {}", targetNames());
  for (TargetSpec &target : targets) target.onednn = options.onednn;
  return targets;
}

class Compilation {
public:
  /// With `training`, the graph is the one of that training.
  Compilation(ModelInput &input, const CompileOptions &options, const TrainingOptions *training = nullptr)
      : options(options), training(training), input(input) {}

  template <class Work> auto timed(const std::string &phase, Work work) {
    double begin = now();
    auto result = work();
    report.phases.push_back({phase, now() - begin});
    return result;
  }
  void progress(const std::string &what, double fraction) {
    if (options.progress) options.progress(what, fraction);
  }

  Result<CompileReport> run() {
    double begin = now();
    if (options.output.empty()) return errorf("expected the name of an artifact to write");
    LINNET_ASSIGN(std::vector<TargetSpec> targets, targetsOf(options));
    if (!options.emit.empty()) {
      if (targets.size() != 1) return errorf("--emit: expected one target, found {}", targets.size());
      LINNET_TRY(checkEmit(options.emit, targets.front()));
    }
    LINNET_TRY(build());
    if (!options.emit.empty()) return emit(targets.front(), begin);
    LINNET_ASSIGN(ArtifactWriter writer, ArtifactWriter::create(options.output));
    fb::MetadataT metadata;
    LINNET_TRY(describe(metadata, writer));
    if (!options.dump_dir.empty()) {
      LINNET_ASSIGN(dump, dump::Dump::open(options.dump_dir));
    }
    auto made = addPrograms(targets, metadata, writer);
    // If the compilation failed, the dump is finished nevertheless.
    if (dump) {
      auto dumped =
          timed("write dump", [&] { return dump->finish(options.input, summary(), report.phases); });
      if (made && !dumped) return dumped.error();
    }
    if (!made) return made.error();
    progress("writing", 1);
    LINNET_TRY(timed("write metadata", [&] { return writer.finish(metadata); }));
    std::error_code ignored;
    report.artifact_bytes = std::filesystem::file_size(options.output, ignored);
    report.output = options.output;
    report.dtype = options.dtype;
    report.kv_cache = kvCacheOf(options);
    if (input.checkpoint) {
      report.ignored_keys = input.checkpoint->config().ignored_keys;
      report.overridden = input.checkpoint->config().overridden;
    }
    report.seconds = now() - begin + input.seconds;
    return std::move(report);
  }

private:
  Result<void> build() {
    report.phases.push_back({"read input", input.seconds});
    context.disableMultithreading();
    context.loadDialect<ir::LinnetDialect, mlir::func::FuncDialect>();
    auto built = timed("build graph", [&] {
      return training ? buildTraining(input, context, *training) : input.build(context, options);
    });
    if (!built) return built.error();
    graph = std::move(*built);
    if (!input.kept.empty()) report.notes.push_back(input.kept);
    return timed("check graph", [&] { return checkGraph(*graph, *input.weights); });
  }

  Result<void> describe(fb::MetadataT &metadata, ArtifactWriter &writer) {
    metadata.producer = std::string("linnet ") + version();
    metadata.kind = training ? format::kGraph : input.kind();
    LINNET_ASSIGN(metadata.source, timed("hash input", [&] { return input.contentKey(); }));
    if (!input.checkpoint) return {};
    const ModelDescription &config = input.checkpoint->config();
    metadata.config = config.forRuntime().dump();
    if (!training && !options.max_context && config.defaultContext() < config.n_positions)
      report.notes.push_back(
          fmt::format("{}: the cache holds {} positions of the model's {}: --max-context N changes it",
                      options.input, config.defaultContext(), config.n_positions));
    if (!config.generation.ignored.empty())
      report.notes.push_back(fmt::format("{}: settings of generation that Linnet does not have: {}",
                                         options.input, fmt::join(config.generation.ignored, ", ")));
    if (auto parsed = chat::Template::parse(config.chat_template, options.input + ": chat template"); !parsed)
      report.notes.push_back(parsed.error().message + "; 'linnet chat' needs --chat-template");
    LINNET_ASSIGN(auto tokenizer, timed("read tokenizer", [&] { return input.checkpoint->tokenizer(); }));
    if (!tokenizer) return {};
    LINNET_ASSIGN(fb::BlobT blob, writer.add(tokenizer->serialize()));
    metadata.tokenizer = std::make_unique<fb::BlobT>(blob);
    return {};
  }

  /// The options that affect the passes, as text.
  std::string summary() const {
    std::string text =
        fmt::format("-O{}, dtype {}, KV cache {}", options.opt_level, options.dtype, kvCacheOf(options));
    for (const std::string &pass : options.disabled_passes) text += ", without " + pass;
    if (!options.first_passes.empty()) text += ", first " + options.first_passes;
    if (!options.pass_pipeline.empty()) text += ", pipeline " + options.pass_pipeline;
    return text + "; linnet " + version();
  }

  Result<void> addPrograms(const std::vector<TargetSpec> &targets, fb::MetadataT &metadata,
                           ArtifactWriter &writer) {
    for (const TargetSpec &target : targets) LINNET_TRY(addProgram(target, metadata, writer));
    return {};
  }

  Result<mlir::OwningOpRef<mlir::ModuleOp>> plan(const TargetSpec &target) {
    progress("optimizing for " + target.name(), 0);
    mlir::OwningOpRef<mlir::ModuleOp> module(graph->clone());
    if (target.backend->description().decodes && input.generates() && !training)
      addSampleEntry(*module, input.checkpoint->config().vocab_size, std::max<int64_t>(options.max_batch, 1));
    LINNET_TRY(runPipeline(*module, target.name(), options, *input.weights, report, dump.get()));
    return std::move(module);
  }

  /// Writes the stage of options.emit instead of an artifact. `begin` is the start time of the compilation.
  Result<CompileReport> emit(const TargetSpec &target, double begin) {
    std::string text;
    if (options.emit == "mlir") {
      text = moduleText(*graph);
    } else {
      LINNET_ASSIGN(auto module, plan(target));
      const std::string phase = "lower to " + target.name();
      if (options.emit == "planned") {
        LINNET_TRY(timed(phase, [&] { return completePlan(target, *module, *input.weights); }));
        text = moduleText(*module);
      } else {
        LINNET_ASSIGN(text, timed(phase, [&] { return kernelText(target, *module, *input.weights); }));
      }
    }
    LINNET_TRY(writeTextFile(options.output, text));
    report.output = options.output;
    report.artifact_bytes = text.size();
    report.dtype = options.dtype;
    report.kv_cache = kvCacheOf(options);
    report.seconds = now() - begin + input.seconds;
    return std::move(report);
  }

  Result<void> addProgram(const TargetSpec &target, fb::MetadataT &metadata, ArtifactWriter &writer) {
    LINNET_ASSIGN(auto module, plan(target));
    if (dump) LINNET_TRY(dump->written());
    removeFolders(*module); // only now, so that earlier errors have the whole path
    CountingSink sink(writer, weightBytes(*module), options);
    auto lowered = timed("lower to " + target.name(),
                         [&] { return lowerTo(target, *module, *input.weights, sink, listener()); });
    if (dump) LINNET_TRY(dump->planned(*module)); // the lowering has completed the plan
    if (!lowered) return lowered.error();
    if (!lowered->shaders.empty())
      LINNET_TRY(timed("compute known answers", [&] { return answerTrials(*lowered, writer); }));
    if (dump) dump->writeKernels(*lowered);
    addReport(*module, *lowered);
    metadata.programs.push_back(std::make_unique<fb::ProgramT>(std::move(*lowered)));
    return {};
  }

  static Result<void> answerTrials(fb::ProgramT &program, ArtifactWriter &writer) {
    LINNET_ASSIGN(const MappedFile file, writer.blobs());
    addKnownAnswers(program, file.bytes());
    return {};
  }

  KernelListener listener() const { return dump ? dump->kernelListener() : KernelListener(); }

  /// Stored bytes of all weights, without duplicates, for the progress.
  static uint64_t weightBytes(mlir::ModuleOp module) {
    std::set<std::pair<std::string, const void *>> seen;
    uint64_t bytes = 0;
    module.walk([&](ir::ParamOp param) {
      if (seen.insert({param.getName().str(), param.getType().getAsOpaquePointer()}).second)
        bytes += ir::maxBytes(param.getType(), param->getParentOfType<mlir::func::FuncOp>()).value_or(0);
    });
    return bytes;
  }

  void addReport(mlir::ModuleOp module, const fb::ProgramT &program) {
    ProgramReport made{program.target, 0, program.state_bytes, program.arena_bytes, 0, {}};
    for (const auto &weight : program.weights) made.weight_bytes += weight->blob->size;
    for (const auto &entry : program.entries) {
      auto function = module.lookupSymbol<mlir::func::FuncOp>(entry->name);
      made.entries.push_back({entry->name, entry->arena_bytes,
                              function ? static_cast<uint64_t>(liveBytes(function)) : 0, entry->io_bytes,
                              entry->commands.size()});
      made.io_bytes = std::max(made.io_bytes, entry->io_bytes); // one area serves all entries
    }
    report.programs.push_back(std::move(made));
  }

  const CompileOptions &options;
  const TrainingOptions *training;
  CompileReport report;
  mlir::MLIRContext context;
  ModelInput &input;
  mlir::OwningOpRef<mlir::ModuleOp> graph;
  std::unique_ptr<dump::Dump> dump;
};

} // namespace

/// Resolves dtype `auto`, then compiles. options.dtype is not empty.
static Result<CompileReport> compileFrom(ModelInput &input, const CompileOptions &options) {
  if (options.dtype != "auto") return Compilation(input, options).run();
  const double begin = now();
  CompileReport tried;
  CompileOptions chosen = options;
  LINNET_ASSIGN(chosen.dtype, chooseDtype(input, options, tried));
  const double seconds = now() - begin;
  LINNET_ASSIGN(CompileReport report, Compilation(input, chosen).run());
  report.trials = std::move(tried.trials);
  report.phases.insert(report.phases.begin(), {"choose dtype", seconds});
  report.seconds += seconds;
  return report;
}

Result<CompileReport> compileModel(const CompileOptions &options) {
  LINNET_TRY(targetsOf(options));
  LINNET_ASSIGN(ModelInput input, ModelInput::open(options));
  LINNET_ASSIGN(const CompileOptions chosen, withDtype(options, input));
  return compileFrom(input, chosen);
}

Result<CompileReport> compileOpened(ModelInput &input, const CompileOptions &options) {
  return Compilation(input, options).run();
}

Result<CompileReport> compileTraining(const TrainingOptions &training) {
  CompileOptions options;
  options.input = training.input;
  options.weights = training.weights;
  options.output = training.output;
  options.dtype = "f32";
  options.targets = {training.target};
  options.onednn = training.onednn;
  options.progress = training.progress;
  LINNET_ASSIGN(ModelInput input, ModelInput::open(options));
  return Compilation(input, options, &training).run();
}

Result<CompileReport> compileCached(const CompileOptions &options) {
  double begin = now();
  LINNET_TRY(targetsOf(options));
  LINNET_ASSIGN(CompileCache cache, CompileCache::open());
  LINNET_ASSIGN(ModelInput input, ModelInput::open(options));
  LINNET_ASSIGN(CompileOptions cached, withDtype(options, input));
  LINNET_ASSIGN(std::string key, cache.keyOf(input.files, cached));
  cached.output = cache.artifactPath(options.input, key);
  if (cache.holds(cached.output)) {
    CompileReport report;
    std::error_code ignored;
    report.output = cached.output;
    report.artifact_bytes = std::filesystem::file_size(cached.output, ignored);
    report.seconds = now() - begin;
    report.from_cache = true;
    return report;
  }
  return compileFrom(input, cached);
}

} // namespace linnet
