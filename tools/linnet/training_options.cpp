#include "training_options.h"
#include "compiler.h"
#include "output.h"
#include "runtime/device.h"
#include "signals.h"
#include "support/error.h"
#include "support/json.h"

namespace linnet::cli {
namespace {

using namespace training;

template <class T>
CLI::Option *number(CLI::App &command, const char *name, T &value, const char *help, T low, T high) {
  CLI::Validator range = CLI::Range(low, high).description("");
  if constexpr (std::is_floating_point_v<T>) range = numberIn(low, high);
  return command.add_option(name, value, help)->check(range)->type_name("N")->capture_default_str();
}

constexpr int64_t kMany = int64_t(1) << 40;

/// "40 s", "3 min", "2.5 h".
std::string durationText(double seconds) {
  constexpr double kMinute = 60, kHour = 3600;
  if (seconds < 2 * kMinute) return fmt::format("{:.0f} s", seconds);
  if (seconds < 2 * kHour) return fmt::format("{:.0f} min", seconds / kMinute);
  return fmt::format("{:.1f} h", seconds / kHour);
}

const char *stopName(Stop stop) {
  return stop == Stop::Finished ? "finished" : stop == Stop::Early ? "early" : "interrupted";
}

Json reportJson(const FinetuneReport &report, const FinetuneOptions &options) {
  Json json = {
      {"output", options.output}, {"stop", stopName(report.stop)},           {"step", report.state.step},
      {"steps", report.steps},    {"trained_parameters", report.trained},    {"parameters", report.all},
      {"texts", report.texts},    {"held_out_texts", report.held_out_texts}, {"seconds", report.seconds}};
  if (report.state.best_step >= 0) json["best_step"] = report.state.best_step;
  if (report.held_out_loss) json["held_out_loss"] = *report.held_out_loss;
  json["positions"] = report.positions;
  if (report.trained_positions) json["trained_positions"] = report.trained_positions;
  if (report.confusion) {
    json["accuracy"] = report.confusion->accuracy();
    json["largest_label_share"] = report.confusion->largestShare();
    for (size_t i = 0; i < report.labels.size(); ++i) json["f1"][report.labels[i]] = report.confusion->f1(i);
  }
  if (report.original_before) json["original_loss_before"] = *report.original_before;
  if (report.original_after) json["original_loss_after"] = *report.original_after;
  return json;
}

void printReport(const FinetuneReport &report, const FinetuneOptions &options) {
  if (report.stop == Stop::Interrupted) {
    put("{}/run: stopped after step {} of {}; --resume goes on\n", options.output, report.state.step,
        report.steps);
    return;
  }
  put("{}: {} of {} parameters trained in {} steps{}, {}\n", options.output, countText(report.trained),
      countText(report.all), report.state.step,
      report.stop == Stop::Early ? " (the held-out loss became no less)" : "", secondsText(report.seconds));
  if (report.held_out_loss)
    put("held out: loss {:.4f} with the parameters of step {}\n", *report.held_out_loss,
        report.state.best_step);
  if (report.confusion) {
    put("held out: accuracy {:.4f} of {} texts (always the most frequent label: {:.4f})",
        report.confusion->accuracy(), report.confusion->total(), report.confusion->largestShare());
    for (size_t i = 0; i < report.labels.size(); ++i)
      put(", F1 of {} {:.4f}", report.labels[i], report.confusion->f1(i));
    put("\n");
  }
  if (report.original_before && report.original_after)
    put("{}: loss {:.4f} before, {:.4f} after\n", options.original, *report.original_before,
        *report.original_after);
}

} // namespace

void TrainingOption::add(CLI::App &command) {
  command.add_option("--data", run.data, "texts: .txt, .jsonl, .json, .csv, .tsv")
      ->required()
      ->type_name("FILE");
  command.add_option("-o,--output", run.output, "directory for the checkpoint, and run/ in it")
      ->required()
      ->type_name("DIR");
  command.add_option("--format", format, "auto (by name), text, jsonl, json, csv or tsv")
      ->type_name("NAME")
      ->capture_default_str();
  command.add_option("--text-column", run.read.text_column, "name or number of the column with texts")
      ->type_name("NAME");
  number(command, "--held-out", run.held_out, "share of the data that is not learned from", 0.0, 0.9);
  command.add_option("--held-out-file", run.held_out_file, "a separate file instead")->type_name("FILE");
  number(command, "--seed", run.seed, "of the split, the order, new weights", uint64_t(0), uint64_t(kMany));
  number(command, "--batch", run.batch, "texts or windows at a time", int64_t(1), int64_t(4096));
  number(command, "--accumulate", run.accumulate, "batches to a step", int64_t(1), int64_t(1) << 20);
  command
      .add_option("--seq", run.max_seq,
                  "tokens of a window, and a new model's n_positions (default: the model's)")
      ->check(CLI::Range(int64_t(1), int64_t(1) << 24).description(""))
      ->type_name("N");
  number(command, "--epochs", run.epochs, "times through the data", 0.001, 1e6);
  command.add_option("--steps", run.steps, "instead of --epochs")
      ->check(CLI::Range(int64_t(1), kMany).description(""))
      ->type_name("N");
  command.add_option("--lr", run.lr, "peak learning rate")->check(numberIn(1e-12, 100.0))->type_name("X");
  number(command, "--min-lr", run.min_lr, "learning rate at the end", 0.0, 100.0);
  number(command, "--warmup", run.warmup, "share of the steps in which the rate rises", 0.0, 1.0);
  command.add_option("--schedule", schedule, "constant, linear or cosine")
      ->type_name("NAME")
      ->capture_default_str();
  number(command, "--weight-decay", run.weight_decay, "AdamW's, of matrices", 0.0, 10.0);
  command.add_flag("--decay-all", run.decay_all, "of biases and layer norms, too");
  command
      .add_option("--dropout", run.dropout, "rate at which embeddings and what each block adds lose elements")
      ->check(numberIn(0.0, 0.99))
      ->type_name("X")
      ->capture_default_str();
  number(command, "--clip", run.clip, "largest norm of the gradient; 0: any", 0.0, 1e9);
  number(command, "--patience", run.patience,
         "evaluations without a lesser held-out loss before it stops; 0: never", int64_t(0), kMany);
  command
      .add_option("--evaluate-every", run.evaluate_every,
                  "steps (default: each epoch, and at least ten times a run)")
      ->check(CLI::Range(int64_t(1), kMany).description(""))
      ->type_name("N");
  number(command, "--checkpoint-every", run.checkpoint_every, "steps; 0: only when it ends", int64_t(0),
         kMany);
  number(command, "--progress-every", progress_every,
         "seconds between lines of progress if standard error is not a terminal; 0: none", 0.0, 1e6);
  device.add(command);
  command.add_option("--dtype", run.dtype, "of the matmuls' operands: f32 or bf16; weights and sums are f32")
      ->check(CLI::IsMember({"f32", "bf16"}).description(""))
      ->type_name("TYPE")
      ->capture_default_str();
  command.add_option("--save-dtype", run.save_dtype, "of the checkpoint: f32, bf16 or f16")
      ->check(CLI::IsMember({"f32", "bf16", "f16"}).description(""))
      ->type_name("TYPE")
      ->capture_default_str();
  addOneDnnOption(command, run.onednn);
  command.add_flag("--resume", run.resume, "go on with the run in DIR");
  trace.add(command);
  command.add_flag("--json", json, "print one JSON object");
}

Result<void> TrainingOption::resolve() {
  LINNET_ASSIGN(run.read.format, parseRecordFormat(format));
  LINNET_ASSIGN(run.decay, parseDecay(schedule));
  if (!device.device.empty()) run.device = device.device;
  checkOneDnnOption(run.onednn, {run.device}, "--device");
  LINNET_TRY(openDevice(run.device)); // before anything is written
  run.threads = device.threads;
  return {};
}

Result<void> runTraining(const TrainingOption &options, const std::string &command) {
  LINNET_TRY(options.trace.check());
  LINNET_ASSIGN(const CompilerApi *api, compiler(command));
  NoteSignals noted;
  Progress progress(options.progress_every);
  FinetuneEvents events;
  int64_t steps = 0, done = 0; // done: steps of this process
  double seconds = 0;          // time of these steps
  double held_out = 0;
  bool measured = false;
  events.note = [&](const std::string &line) {
    progress.clear();
    note(line);
  };
  events.progress = [&](const std::string &what, double fraction) { progress.show(what, fraction); };
  events.planned = [&](int64_t planned) { steps = planned; };
  events.trainer.interrupted = [] { return interrupted() != 0; };
  events.trainer.step = [&](const StepReport &report) {
    std::string line = fmt::format("{}/{} loss {:.4f} lr {:.2g}", report.step, steps, report.loss, report.lr);
    if (measured) line += fmt::format(" held {:.4f}", held_out);
    ++done, seconds += report.seconds;
    if (!stderrIsTerminal())
      line += fmt::format(", about {} left", durationText(static_cast<double>(steps - report.step) * seconds /
                                                          static_cast<double>(done)));
    progress.show(line, static_cast<double>(report.step) / static_cast<double>(std::max<int64_t>(steps, 1)));
  };
  events.trainer.evaluated = [&](const EvaluationReport &report) {
    held_out = report.loss;
    measured = true;
    progress.clear();
    std::string measure = report.accuracy ? fmt::format("accuracy {:.4f}", *report.accuracy)
                                          : fmt::format("perplexity {:.4g}", report.perplexity());
    note(fmt::format("step {}: held-out loss {:.4f}, {}{}", report.step, report.loss, measure,
                     report.best ? ", the best so far" : ""));
  };
  events.profiler = options.trace.profiler();
  LINNET_ASSIGN(FinetuneReport report, finetune(*api, options.run, events));
  progress.clear();
  if (options.json)
    printJson(reportJson(report, options.run));
  else
    printReport(report, options.run);
  return options.trace.write(events.profiler, options.run.output, options.run.threads);
}

} // namespace linnet::cli
