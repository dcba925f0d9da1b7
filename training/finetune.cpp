#include "training/finetune.h"
#include "frontend/checkpoint/safetensors.h"
#include "linnet/session.h"
#include "support/error.h"
#include "support/file.h"
#include "support/json.h"
#include "support/number_text.h"
#include "training/compiled_program.h"
#include "training/features.h"
#include "training/finetune_data.h"
#include "training/head.h"
#include "training/start.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <set>

namespace linnet::training {
namespace {

constexpr int64_t kEmbedBatch = 16;

double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

const char *methodName(Method method) {
  constexpr const char *kNames[] = {"head", "layers", "partial", "full"};
  return kNames[static_cast<size_t>(method)];
}

std::string megabytes(uint64_t bytes) {
  return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1 << 20));
}

/// One run, from the options to the resulting checkpoint.
class Run {
public:
  Run(const CompilerApi &compiler, const FinetuneOptions &options, const FinetuneEvents &events)
      : compiler(compiler), options(options), events(events) {}

  Result<FinetuneReport> go() {
    double begin = seconds();
    LINNET_TRY(resolveOptions());
    LINNET_ASSIGN(material, readMaterial(options, labels_hint));
    LINNET_ASSIGN(RunDirectory directory, openDirectory());
    LINNET_TRY(writeTextFile(directory.file("split.json"), splitJson(material, options).dump() + "\n"));
    LINNET_TRY(readStart(directory));
    LINNET_TRY(choose());
    LINNET_ASSIGN(Batches batches, makeBatches(directory));
    LINNET_ASSIGN(CompiledProgram program, compile(directory));
    if (!options.original.empty()) {
      LINNET_ASSIGN(report.original_before, originalLoss(directory, start->path, "before"));
    }
    LINNET_TRY(writeStart(program));
    LINNET_TRY(directory.begin());
    start->path = directory.file("start");
    setChecker(program, directory);
    notePositions(batches);
    plan(batches);
    Trainer trainer(program, *batches.train, batches.held_out.get(), directory, trainerOptions(batches),
                    events.trainer);
    LINNET_ASSIGN(report.stop, trainer.run());
    report.state = trainer.state();
    if (report.stop != Stop::Interrupted) LINNET_TRY(finish(program, batches, directory));
    report.seconds = seconds() - begin;
    return std::move(report);
  }

private:
  bool embeds() const { return options.method == Method::Head || options.method == Method::Layers; }
  void note(const std::string &line) const {
    if (events.note) events.note(line);
  }
  std::function<void(const std::string &, double)> compileProgress() const { return events.progress; }

  /// Completes the options with the model's settings. A resumed run reads its copy of the model.
  Result<void> resolveOptions() {
    if (options.output.empty()) return Error{"-o is empty: expected a directory to write"};
    std::optional<HeadSettings> head;
    if (!options.init) {
      const std::string own = options.output + "/run/start";
      const bool resumed = options.resume && fileExists(own + "/config.json");
      LINNET_ASSIGN(CheckpointSummary summary, compiler.inspectCheckpoint(resumed ? own : options.model));
      LINNET_ASSIGN(Json json, parseJson(summary.config, options.model));
      head = headIn(json);
    }
    const bool classifier = options.task == Task::Classify, named = !options.labels.empty();
    if (classifier) LINNET_TRY(resolveHead(head, options));
    if (!head) return {};
    const char *fate = !classifier        ? "the classifier's head is left out of the language model"
                       : options.new_head ? "the classifier's head is replaced by a new one"
                                          : "the classifier's head is trained further";
    notes.push_back(fmt::format("{}: {}", options.model, fate));
    if (classifier && !options.new_head && !named)
      labels_hint = ", the labels of the model's head; --new-head replaces the head by one for other labels";
    return {};
  }

  /// All settings that affect the result. A run can only be resumed with the same.
  Json configJson() const {
    const InitOptions init = options.init.value_or(InitOptions());
    return {{"model", options.model},
            {"preset", init.preset},
            {"model_config", init.config},
            {"tokenizer", init.tokenizer},
            {"data", options.data},
            {"data_hash", material.hash},
            {"task", options.task == Task::Classify ? "classify" : "lm"},
            {"method", methodName(options.method)},
            {"labels", material.names},
            {"held_out", options.held_out},
            {"held_out_file", options.held_out_file},
            {"seed", options.seed},
            {"pooling", options.pooling},
            {"hidden", options.hidden},
            {"activation", options.activation},
            {"new_head", options.new_head},
            {"train", options.patterns},
            {"last_layers", options.last_layers},
            {"biases", options.biases},
            {"norms", options.norms},
            {"batch", options.batch},
            {"accumulate", options.accumulate},
            {"max_seq", options.max_seq},
            {"epochs", options.epochs},
            {"steps", options.steps},
            {"lr", rate()},
            {"min_lr", options.min_lr},
            {"warmup", options.warmup},
            {"schedule", decayName(options.decay)},
            {"weight_decay", options.weight_decay},
            {"decay_all", options.decay_all},
            {"clip", options.clip},
            {"layer_decay", options.layer_decay},
            {"l2sp", options.l2sp},
            {"evaluate_every", options.evaluate_every},
            {"patience", options.patience},
            {"dropout", options.dropout},
            {"dtype", options.dtype},
            {"device", options.device},
            {"onednn", options.onednn}};
  }
  double rate() const { return options.lr > 0 ? options.lr : defaultRate(options.method); }

  Result<RunDirectory> openDirectory() const {
    std::string path = options.output + "/run";
    return options.resume ? RunDirectory::open(path, configJson()) : RunDirectory::create(path, configJson());
  }

  Result<void> readStart(const RunDirectory &directory) {
    if (events.progress) events.progress("copying the model", 0);
    LINNET_ASSIGN(start, training::makeStart(compiler, options, material.names, directory.file("start")));
    report.all = start->count;
    report.positions = start->positions;
    if (options.max_seq > start->positions)
      return errorf("--seq is {}, the model has {} positions", options.max_seq, start->positions);
    max_seq = options.max_seq ? options.max_seq : start->positions;
    if (options.task == Task::LanguageModel && !start->end_of_text && material.records.size() > 1)
      return errorf(
          "{}: no token joins the {} texts: expected eos_token in the tokenizer's files, or eos_token_id "
          "in config.json or generation_config.json",
          options.init ? options.init->tokenizer : options.model, material.records.size());
    return {};
  }

  Result<void> choose() {
    std::set<std::string> chosen;
    if (options.method == Method::Full) {
      for (const ParameterInfo &p : start->parameters) chosen.insert(p.name);
    } else if (options.method == Method::Partial) {
      LINNET_ASSIGN(std::vector<std::string> names, selected());
      chosen.insert(names.begin(), names.end());
    }
    int64_t layers = layerCount(start->parameters);
    for (const ParameterInfo &p : start->parameters) {
      if (!chosen.count(p.name) && p.role != TensorRole::classifier)
        continue; // a new head is trained in any case
      bool shrinks = options.decay_all || decays(p);
      trainable.push_back({p.name, static_cast<float>(layerwiseScale(p, layers, options.layer_decay)),
                           shrinks ? static_cast<float>(options.weight_decay) : 0});
      report.trained += static_cast<uint64_t>(p.elements());
    }
    return {};
  }

  Result<std::vector<std::string>> selected() const {
    if (options.last_layers) return selectLastLayers(start->parameters, options.last_layers);
    if (options.biases) return selectBiases(start->parameters);
    if (options.norms) return selectNorms(start->parameters);
    return selectByPattern(start->parameters, options.patterns);
  }

  Result<Batches> makeBatches(const RunDirectory &directory) {
    report.texts = material.records.size();
    report.held_out_texts = material.split.held_out.size();
    report.labels = material.names;
    if (options.task == Task::LanguageModel)
      return languageBatches(material, start->tokenizer, start->end_of_text, options, max_seq);
    if (!embeds()) {
      LINNET_ASSIGN(Batches batches, textBatches(material, start->tokenizer, options, max_seq));
      noteCut(batches.cut);
      return batches;
    }
    LINNET_ASSIGN(Features features, embeddings(directory));
    return embeddedBatches(material, features, options);
  }
  void noteCut(size_t cut) {
    if (cut)
      notes.push_back(fmt::format("{} of {} texts are longer than {} tokens and lose their ends", cut,
                                  material.records.size(), max_seq));
  }

  Result<Features> embeddings(const RunDirectory &directory) {
    std::string path = directory.file("features.safetensors");
    std::string key = fmt::format("{} {} {}", material.hash, options.pooling, max_seq);
    if (fileExists(path)) return readFeatures(path, key);
    CompileOptions compile;
    compile.input = start->path;
    compile.output = directory.file("embed.linnet");
    compile.targets = {targetFor(options.device)};
    compile.onednn = options.onednn;
    compile.max_context = max_seq;
    compile.max_batch = kEmbedBatch;
    compile.progress = events.progress;
    LINNET_ASSIGN(CompileReport compiled, compiler.compile(compile));
    size_t cut = 0;
    LINNET_ASSIGN(std::vector<Example> examples,
                  examplesOf(material.records, material.labels, start->tokenizer,
                             static_cast<size_t>(max_seq), options.data, cut));
    noteCut(cut);
    double begin = seconds();
    auto tell = [&](double fraction) {
      if (events.progress) events.progress("embedding texts", fraction);
      return !events.trainer.interrupted || !events.trainer.interrupted();
    };
    LINNET_ASSIGN(Features features,
                  embedExamples(compiled.output, loadOptions(), std::move(examples), tell));
    note(fmt::format("embeddings of {} texts computed in {:.1f} s", material.records.size(),
                     seconds() - begin));
    LINNET_TRY(writeFeatures(path, key, features));
    std::error_code ignored;
    std::filesystem::remove(compiled.output, ignored);
    return features;
  }

  LoadOptions loadOptions() const {
    LoadOptions load;
    load.device = options.device;
    load.threads = options.threads;
    return load;
  }

  TrainingOptions trainingOptions() const {
    TrainingOptions training;
    training.input = start->path;
    training.task = options.task == Task::LanguageModel ? "lm" : embeds() ? "features" : "classify";
    training.trainable = trainable;
    training.max_batch = options.batch;
    training.max_seq = max_seq;
    training.l2sp = static_cast<float>(options.l2sp);
    training.dtype = options.dtype;
    training.onednn = options.onednn;
    training.dropout = static_cast<float>(options.dropout);
    training.progress = events.progress;
    return training;
  }

  Result<CompiledProgram> compile(const RunDirectory &directory) {
    TrainingOptions training = trainingOptions();
    training.output = directory.file("train.linnet");
    training.target = targetFor(options.device);
    LINNET_ASSIGN(CompileReport compiled, compiler.compileTraining(training));
    const ProgramReport &program = compiled.programs.at(0);
    for (const std::string &line : material.notes) note(line);
    for (const std::string &line : notes) note(line);
    note(fmt::format(
        "{} of {} parameters are trained; memory: {} (parameters, gradients and moments {}, frozen weights "
        "{}, activations {}, inputs and outputs {})",
        report.trained, report.all, megabytes(program.peakBytes()), megabytes(program.state_bytes),
        megabytes(program.weight_bytes), megabytes(program.arena_bytes), megabytes(program.io_bytes)));
    LINNET_ASSIGN(CompiledProgram loaded, CompiledProgram::load(compiled.output, loadOptions(),
                                                                {training.beta1, training.beta2, options.clip,
                                                                 static_cast<uint32_t>(options.seed)}));
    loaded.setProfiler(events.profiler);
    std::error_code ignored;
    std::filesystem::remove(compiled.output, ignored); // the mapping keeps its contents
    return loaded;
  }

  void setChecker(CompiledProgram &program, const RunDirectory &directory) const {
    TrainingOptions checking = trainingOptions();
    checking.target = "reference";
    checking.output = directory.file("check.linnet");
    program.setChecker([this, checking]() -> Result<std::string> {
      LINNET_ASSIGN(CompileReport made, compiler.compileTraining(checking));
      return made.output;
    });
  }

  /// Adds a note if the data are shorter than the model's context.
  void notePositions(const Batches &batches) {
    if (embeds()) return; // the body is frozen
    report.trained_positions = batches.longest;
    if (batches.longest < report.positions)
      note(fmt::format("the first {} of the model's {} positions are trained", batches.longest,
                       report.positions));
  }

  /// Writes the starting checkpoint's parameters to the states; moments are zero.
  Result<void> writeStart(CompiledProgram &program) const {
    LINNET_ASSIGN(SafetensorsFile file, SafetensorsFile::open(start->path + "/model.safetensors"));
    auto give = [&](const StateInfo &state, std::string_view prefix) -> Result<void> {
      std::string name = state.name.substr(prefix.size());
      const auto parameter = std::find_if(start->parameters.begin(), start->parameters.end(),
                                          [&](const ParameterInfo &p) { return p.name == name; });
      const TensorView *tensor =
          parameter == start->parameters.end() ? nullptr : file.find(parameter->exported);
      if (!tensor) return errorf("{}: no tensor for the state {}", start->path, state.name);
      std::vector<float> values(tensor->elements());
      LINNET_TRY(readF32(*tensor, 0, values));
      return program.write(state.name, values);
    };
    for (const StateInfo &state : program.states())
      if (state.name.starts_with("param.")) LINNET_TRY(give(state, "param."));
    for (const StateInfo &state : program.starts()) LINNET_TRY(give(state, "start."));
    return {};
  }

  void plan(const Batches &batches) {
    int64_t to_an_epoch = (batches.train->count() + options.accumulate - 1) / options.accumulate;
    steps = options.steps
                ? options.steps
                : std::max<int64_t>(1, std::llround(options.epochs * static_cast<double>(to_an_epoch)));
    report.steps = steps;
    if (events.planned) events.planned(steps);
    evaluate_every = options.evaluate_every ? options.evaluate_every : evaluationsEvery(steps, to_an_epoch);
  }

  TrainerOptions trainerOptions(const Batches &batches) const {
    auto warmup = static_cast<int64_t>(std::llround(options.warmup * static_cast<double>(steps)));
    TrainerOptions trainer;
    trainer.schedule = {options.decay, rate(), options.min_lr, steps, warmup};
    trainer.accumulate = options.accumulate;
    trainer.evaluate_every = batches.held_out ? evaluate_every : 0;
    trainer.patience = options.patience;
    trainer.checkpoint_every = options.checkpoint_every;
    trainer.title = options.title.empty() ? title() : options.title;
    return trainer;
  }
  std::string title() const {
    return fmt::format("{} finetuned on {} ({}, {})", shortName(options.model), shortName(options.data),
                       options.task == Task::Classify ? "classify" : "lm", methodName(options.method));
  }

  Result<void> finish(CompiledProgram &program, const Batches &batches, RunDirectory &directory) {
    if (batches.held_out) {
      Confusion confusion(std::max<size_t>(material.names.size(), 1));
      auto count = [&](const Batch &batch, std::span<const float> scores) {
        size_t width = material.names.size();
        for (size_t row = 0; width && row < batch.labels.size(); ++row)
          confusion.add(static_cast<size_t>(batch.labels[row]), argmax(scores.subspan(row * width, width)));
      };
      LINNET_ASSIGN(MeanLoss mean, meanLoss(program, *batches.held_out, count, events.trainer.interrupted));
      if (mean.not_finite)
        return errorf("the held-out loss of the parameters of step {} is {}", report.state.best_step,
                      numberText(mean.loss));
      report.held_out_loss = mean.loss;
      if (!material.names.empty()) report.confusion = confusion;
    }
    std::string parameters =
        directory.file(report.state.best_step >= 0 ? "best.safetensors" : "checkpoint.safetensors");
    TrainedOptions trained;
    trained.input = start->path;
    trained.parameters = parameters;
    trained.directory = options.output;
    trained.dtype = options.save_dtype;
    LINNET_TRY(compiler.writeTrained(trained));
    if (!options.original.empty()) {
      LINNET_ASSIGN(report.original_after, originalLoss(directory, options.output, "after"));
    }
    return {};
  }

  /// Mean loss, in nats per token, of a checkpoint's language model on options.original.
  Result<double> originalLoss(const RunDirectory &directory, const std::string &checkpoint,
                              const std::string &when) {
    std::string model = directory.file("original-" + when), artifact = model + ".linnet";
    std::error_code failed;
    std::filesystem::create_directories(model, failed);
    StartOptions as_model;
    as_model.input = checkpoint;
    as_model.directory = model;
    LINNET_TRY(compiler.makeStart(as_model));
    CompileOptions compile;
    compile.input = model;
    compile.output = artifact;
    compile.targets = {targetFor(options.device)};
    compile.onednn = options.onednn;
    LINNET_ASSIGN(CompileReport compiled, compiler.compile(compile));
    LINNET_ASSIGN(Model loaded, Model::load(compiled.output, loadOptions()));
    LINNET_ASSIGN(Session session, Session::open(loaded));
    LINNET_ASSIGN(MappedFile text, openPlainText(options.original));
    LINNET_ASSIGN(Encoding encoding, start->tokenizer.encode(text.text()));
    LINNET_ASSIGN(Perplexity found, session.perplexity(encoding.ids));
    std::filesystem::remove_all(model, failed);
    std::filesystem::remove(artifact, failed);
    return found.nll;
  }

  const CompilerApi &compiler;
  FinetuneOptions options;
  const FinetuneEvents &events;
  FinetuneReport report;
  Material material;
  std::optional<Start> start;
  std::vector<std::string> notes; ///< reported when the run can begin
  std::string labels_hint;
  std::vector<TrainedParameter> trainable;
  int64_t max_seq = 0, steps = 1, evaluate_every = 0;
};

} // namespace

double defaultRate(Method method) {
  switch (method) {
  case Method::Head:
    return 1e-2;
  case Method::Layers:
    return 2e-3;
  case Method::Partial:
    return 5e-4;
  case Method::Full:
    break;
  }
  return 1e-4;
}

int64_t evaluationsEvery(int64_t steps, int64_t steps_to_an_epoch) {
  constexpr int64_t kLeastPoints = 10;
  return std::max<int64_t>(1, std::min(steps_to_an_epoch, steps / kLeastPoints));
}

std::string shortName(const std::string &path) {
  std::filesystem::path whole = std::filesystem::path(path).lexically_normal();
  return (whole.has_filename() ? whole : whole.parent_path()).filename().string();
}

Result<FinetuneReport> finetune(const CompilerApi &compiler, const FinetuneOptions &options,
                                const FinetuneEvents &events) {
  return Run(compiler, options, events).go();
}

} // namespace linnet::training
