// linnet profile: the time of a model by command, and its rates relative to the machine's limits.
#include "arguments.h"
#include "disturbed.h"
#include "measure/profile_summary.h"
#include "measure/throughput.h"
#include "measure/trace.h"
#include "model.h"
#include "output.h"
#include "runtime/artifact/artifact.h"
#include "signals.h"
#include "support/error.h"
#include "support/file.h"
#include "support/json.h"

#include <algorithm>
#include <memory>

namespace linnet::cli {
namespace profile_command {

using measure::Achieved;
using measure::Limits;
using measure::PhaseSummary;
using measure::Trace;
using measure::Work;

struct Options {
  std::string file;
  int64_t prompt = 128, generated = 32, batch = 1;
  int repetitions = 3;
  int top = 10;
  DeviceOption device;
  bool json = false;
  CLI::Option *of_prompt = nullptr, *of_generated = nullptr;
  std::vector<CLI::Option *> of_models; ///< options that do not apply to a trace
};

/// Whether the file is a trace, a JSON object. Models do not begin with a brace.
bool isTrace(const std::string &path) {
  if (isDirectory(path) || path.ends_with(".mlir")) return false;
  auto file = MappedFile::open(path);
  if (!file) return false; // kindOf() reports the error
  std::string_view text = file->text();
  size_t first = text.find_first_not_of(" \t\r\n");
  return first != text.npos && text[first] == '{';
}

Result<Trace> record(Options &options) {
  LINNET_ASSIGN(FileKind kind, kindOf(options.file));
  bool graph = kind == FileKind::Graph;
  if (kind == FileKind::Artifact) {
    LINNET_ASSIGN(Artifact artifact, Artifact::open(options.file));
    graph = artifact.metadata().kind()->size() == 0;
  }
  if (graph)
    return errorf("{}: holds a graph, not a language model: give it inputs with 'linnet run --input ... "
                  "--profile trace.json', then 'linnet profile trace.json'",
                  options.file);
  LINNET_ASSIGN(OpenModel open, openModel(options.file, options.device, "linnet profile"));
  const ModelConfig &config = open.model.config();
  measure::fitDefaults(config.context, options.prompt, static_cast<bool>(*options.of_prompt),
                       options.generated, static_cast<bool>(*options.of_generated));
  if (options.prompt + options.generated > config.context)
    return errorf("-p {} and -n {} need {} positions, the artifact was compiled for {} (the model has {})",
                  options.prompt, options.generated, options.prompt + options.generated, config.context,
                  config.n_positions);
  CancelOnSignal cancel(open.session);
  Progress progress;
  auto prompts = measure::promptsFor(config, options.batch, options.prompt);
  GenerateOptions generate;
  generate.max_new_tokens = options.generated + 1;
  generate.ignore_eos = true;
  auto run = [&](const char *what, int done) -> Result<void> {
    progress.show(what, static_cast<double>(done) / (options.repetitions + 1));
    LINNET_ASSIGN(auto results, open.session.generateBatch(prompts, generate));
    return interrupted() ? Error{"interrupted"} : Result<void>();
  };
  LINNET_TRY(run("warming up", 0));
  Trace least;
  constexpr int kTries = 3; // repeats if other programs disturb the measurement
  for (int i = 0; i < kTries; ++i) {
    auto profiler = std::make_shared<Profiler>();
    open.session.setProfiler(profiler);
    measure::Disturbance disturbance;
    for (int done = 1; done <= options.repetitions; ++done) LINNET_TRY(run("measuring", done));
    const double disturbed = disturbance.share();
    if (i == 0 || disturbed < least.disturbed) least = {options.file, {}, profiler->profile(), disturbed};
    if (least.disturbed <= measure::kDisturbedShare) break;
  }
  progress.clear();
  least.limits = measure::limitsOf(open.model.deviceKind(), options.device.threads);
  return least;
}

Result<Trace> traceOf(Options &options) {
  if (!isTrace(options.file)) return record(options);
  for (const CLI::Option *option : options.of_models)
    if (*option)
      return errorf("{}: is a trace: {} says how to run a model", options.file, option->get_name());
  return measure::readTrace(options.file);
}

Json workJson(const Work &work, double wall, const Limits &limits) {
  Achieved a = measure::achieved(work.seconds, work.flops, work.bytes, limits);
  return {{"runs", work.runs},
          {"seconds", work.seconds},
          {"least_seconds", work.least},
          {"share_of_time", wall > 0 ? work.seconds / wall : 0},
          {"bytes", work.bytes},
          {"flops", work.flops},
          {"bytes_per_second", a.bytes_per_second},
          {"share_of_bandwidth", a.bandwidth_share},
          {"flops_per_second", a.flops_per_second},
          {"share_of_peak", a.peak_share}};
}

Json phaseJson(const PhaseSummary &phase, const Trace &trace) {
  Json out = {{"name", phase.name},
              {"calls", phase.calls},
              {"tokens", phase.tokens},
              {"dispatches", phase.dispatches},
              {"barriers", phase.barriers},
              {"wall_seconds", phase.wall},
              {"command_seconds", phase.commands},
              {"between_seconds", phase.between},
              {"host_seconds", phase.host}};
  auto add = [&](const char *list, Json row, const Work &work) {
    row.update(workJson(work, phase.wall, trace.limits));
    out[list].push_back(std::move(row));
  };
  for (const char *list : {"commands", "places", "ops"}) out[list] = Json::array();
  for (const auto &summary : phase.by_command) {
    const ProfileCommand &command = trace.profile.commands[summary.command];
    add("commands",
        {{"entry", command.entry},
         {"command", command.number},
         {"op", command.op},
         {"location", command.location},
         {"kernel", command.kernel}},
        summary.work);
  }
  for (const auto &group : phase.by_place)
    add("places",
        {{"op", group.op}, {"place", group.place}, {"kernel", group.kernel}, {"commands", group.commands}},
        group.work);
  for (const auto &group : phase.by_op)
    add("ops", {{"op", group.op}, {"commands", group.commands}}, group.work);
  return out;
}

Json toJson(const Trace &trace, const std::vector<PhaseSummary> &phases) {
  Json out = {{"model", trace.model},
              {"device", trace.profile.device},
              {"limits",
               {{"threads", trace.limits.threads},
                {"read_bytes_per_second", trace.limits.read_bytes_per_second},
                {"f32_flops_per_second", trace.limits.f32_flops_per_second},
                {"disturbed_share", trace.limits.disturbed}}},
              {"disturbed", trace.disturbed > measure::kDisturbedShare},
              {"disturbed_share", trace.disturbed},
              {"dropped_calls", trace.profile.dropped_calls},
              {"phases", Json::array()}};
  for (const PhaseSummary &phase : phases) out["phases"].push_back(phaseJson(phase, trace));
  return out;
}

std::string percent(double share) { return share > 0 ? fmt::format("{:.1f}%", share * 100) : "-"; }
std::string giga(double rate) { return rate > 0 ? fmt::format("{:.2f}", rate / 1e9) : "-"; }

const std::vector<std::string> kWorkColumns = {"time", "of all", "GB/s", "of limit", "GFLOP/s", "of limit"};

bool timesAreDisturbed(const Trace &trace) { return trace.disturbed > measure::kDisturbedShare; }
bool limitsAreDisturbed(const Trace &trace) { return trace.limits.disturbed > measure::kDisturbedShare; }

/// The cells of every row: the time per run or call (`count` of them), and the achieved rates.
std::vector<std::string> workCells(const Work &work, int64_t count, double wall, const Trace &trace) {
  Achieved a = measure::achieved(work.seconds, work.flops, work.bytes, trace.limits);
  auto marked = [](bool disturbed, const std::string &text) {
    return disturbed && text != "-" ? std::string(kDisturbed) + text : text;
  };
  const bool times = timesAreDisturbed(trace), shares = times || limitsAreDisturbed(trace);
  return {marked(times, secondsText(work.seconds / static_cast<double>(std::max<int64_t>(count, 1)))),
          percent(wall > 0 ? work.seconds / wall : 0),
          marked(times, giga(a.bytes_per_second)),
          marked(shares, percent(a.bandwidth_share)),
          marked(times, giga(a.flops_per_second)),
          marked(shares, percent(a.peak_share))};
}

std::vector<std::string> joined(std::vector<std::string> first, const std::vector<std::string> &rest) {
  first.insert(first.end(), rest.begin(), rest.end());
  return first;
}

/// Prints the time of a call by op. The rows add up to the whole call.
void printOps(const PhaseSummary &phase, const Trace &trace) {
  Table table("rrrrrrrl", joined(kWorkColumns, {"commands", "a call"}));
  auto row = [&](const Work &work, const std::string &commands, const std::string &what) {
    table.add(joined(workCells(work, phase.calls, phase.wall, trace), {commands, what}));
  };
  for (const auto &group : phase.by_op) row(group.work, std::to_string(group.commands), group.op);
  auto sum = [&](double seconds, const std::string &what) {
    Work work;
    work.seconds = seconds;
    row(work, "", what);
  };
  sum(phase.between, "between commands");
  sum(phase.host, "host");
  Work total = phase.work;
  total.seconds = phase.wall;
  row(total, std::to_string(phase.by_command.size()), "total");
  put(std::string_view(table.plain("  ")));
}

void printPlaces(const PhaseSummary &phase, const Trace &trace) {
  Table table("rrrrrrrrlll", joined(kWorkColumns, {"least", "commands", "op", "place", "kernel"}));
  for (const auto &group : phase.by_place)
    table.add(joined(workCells(group.work, group.work.runs, phase.wall, trace),
                     {secondsText(group.work.least), std::to_string(group.commands), group.op, group.place,
                      group.kernel}));
  put(std::string_view(table.plain("  ")));
}

void printCommands(const PhaseSummary &phase, const Trace &trace, size_t top) {
  Table table("rrrrrrrrlll", joined(kWorkColumns, {"least", "runs", "op", "location", "kernel"}));
  size_t shown = top ? std::min(top, phase.by_command.size()) : phase.by_command.size();
  Work rest;
  for (size_t i = 0; i < phase.by_command.size(); ++i) {
    const auto &[number, work] = phase.by_command[i];
    const ProfileCommand &command = trace.profile.commands[number];
    if (i < shown)
      table.add(joined(workCells(work, work.runs, phase.wall, trace),
                       {secondsText(work.least), std::to_string(work.runs), command.op, command.location,
                        command.kernel}));
    else
      rest += work;
  }
  auto sum = [&](const Work &work, const std::string &what) {
    table.add(joined(workCells(work, phase.calls, phase.wall, trace), {"", std::to_string(work.runs), what}));
  };
  if (rest.runs) sum(rest, fmt::format("{} more, a call", phase.by_command.size() - shown));
  sum(phase.work, "all commands, a call");
  put(std::string_view(table.plain("  ")));
}

void print(const Trace &trace, const std::vector<PhaseSummary> &phases, size_t top) {
  const Limits &limits = trace.limits;
  put("{} on {}", trace.model, trace.profile.device);
  if (limits.read_bytes_per_second > 0)
    put("; {} threads read {} GB/s", limits.threads, giga(limits.read_bytes_per_second));
  if (limits.f32_flops_per_second > 0)
    put(" and multiply-add {} GFLOP/s (f32)", giga(limits.f32_flops_per_second));
  put("\n");
  if (timesAreDisturbed(trace))
    put("{} disturbed: {} while the model ran\n", kDisturbed, measure::disturbanceText(trace.disturbed));
  if (limitsAreDisturbed(trace))
    put("{} disturbed: {} while the limits were measured, which are higher\n", kDisturbed,
        measure::disturbanceText(limits.disturbed));
  for (const PhaseSummary &phase : phases) {
    double calls = static_cast<double>(phase.calls), each = static_cast<double>(phase.tokens) / calls;
    put("\n{}: {} call{}", phase.name, phase.calls, phase.calls == 1 ? "" : "s");
    if (phase.tokens)
      put(" of {:.4g} token{}, {:.1f} tokens/s", each, each == 1 ? "" : "s",
          phase.wall > 0 ? static_cast<double>(phase.tokens) / phase.wall : 0.0);
    if (phase.dispatches)
      put("; {:.4g} dispatches and {:.4g} barriers a call", static_cast<double>(phase.dispatches) / calls,
          static_cast<double>(phase.barriers) / calls);
    put("\n");
    printOps(phase, trace);
    put("\n  by place in a layer, time of one command:\n");
    printPlaces(phase, trace);
    put("\n  by command, time of one run:\n");
    printCommands(phase, trace, top);
  }
  if (trace.profile.dropped_calls)
    put("\nthe last {} calls are not in the profile: it was full\n", trace.profile.dropped_calls);
}

Result<void> execute(Options &options) {
  LINNET_ASSIGN(Trace trace, traceOf(options));
  std::vector<PhaseSummary> phases = measure::summarize(trace.profile);
  if (options.json)
    printJson(toJson(trace, phases));
  else
    print(trace, phases, static_cast<size_t>(options.top));
  return {};
}

} // namespace profile_command

void addProfile(CLI::App &app, Action &action) {
  using namespace profile_command;
  auto options = std::make_shared<Options>();
  CLI::App *command = app.add_subcommand("profile", "which commands the time goes to, slowest first");
  command->group("Running");
  command
      ->add_option("FILE", options->file,
                   "a language model to run, or a trace that linnet run --profile wrote")
      ->required()
      ->type_name("");
  auto of_model = [&](CLI::Option *option) {
    options->of_models.push_back(option);
    return option;
  };
  options->of_prompt = of_model(command->add_option("-p,--n-prompt", options->prompt, "tokens of the prompt")
                                    ->check(CLI::Range(int64_t(1), int64_t(1) << 24).description(""))
                                    ->type_name("N")
                                    ->default_str("128, or what fits"));
  options->of_generated =
      of_model(command->add_option("-n,--n-gen", options->generated, "tokens to generate after it")
                   ->check(CLI::Range(int64_t(0), int64_t(1) << 24).description(""))
                   ->type_name("N")
                   ->default_str("32, or what fits"));
  of_model(command->add_option("-b,--batch", options->batch, "sequences at a time")
               ->check(CLI::Range(int64_t(1), int64_t(1) << 16).description(""))
               ->type_name("N")
               ->capture_default_str());
  of_model(command->add_option("-r,--repetitions", options->repetitions, "runs, after one to warm up")
               ->check(CLI::Range(1, 1000).description(""))
               ->type_name("N")
               ->capture_default_str());
  options->device.add(*command);
  of_model(command->get_option("--threads"));
  of_model(command->get_option("--device"));
  command->add_option("--top", options->top, "commands to list; 0: all")
      ->check(CLI::Range(0, 1 << 30).description(""))
      ->type_name("N")
      ->capture_default_str();
  command->add_flag("--json", options->json, "print one JSON object, with all commands");
  command->footer(example("  linnet profile model.linnet -p 16 -n 8 --top 5"));
  command->callback([options, &action] { action = [options] { return execute(*options); }; });
}

} // namespace linnet::cli
