// linnet compile: compiles a checkpoint, a .gguf or an .mlir to an artifact, and prints times and memory.
#include "arguments.h"
#include "compile_options.h"
#include "compiler.h"
#include "model.h"
#include "output.h"
#include "support/error.h"
#include "support/json.h"

#include <filesystem>
#include <memory>

namespace linnet::cli {
namespace compile_command {

struct Options {
  CompileOptions compile;
  std::string target = "cpu";
  bool json = false;
};

Json toJson(const CompileReport &report) {
  Json out = {
      {"output", report.output}, {"artifact_bytes", report.artifact_bytes}, {"seconds", report.seconds}};
  out["dtype"] = report.dtype;
  out["kv_cache"] = report.kv_cache;
  out["ignored_keys"] = report.ignored_keys;
  out["overridden"] = report.overridden;
  if (!report.notes.empty()) out["notes"] = report.notes;
  if (!report.trials.empty()) out["tried"] = Json::array();
  for (const DtypeTrial &trial : report.trials)
    out["tried"].push_back(trial.failure.empty() ? Json{{"dtype", trial.dtype},
                                                        {"divergence", trial.divergence},
                                                        {"same_token", trial.same},
                                                        {"positions", trial.positions}}
                                                 : Json{{"dtype", trial.dtype}, {"failure", trial.failure}});
  out["phases"] = Json::array();
  for (const PhaseTime &phase : report.phases)
    out["phases"].push_back({{"name", phase.name}, {"seconds", phase.seconds}});
  out["programs"] = Json::array();
  for (const ProgramReport &program : report.programs) {
    Json entries = Json::array();
    for (const EntryReport &entry : program.entries)
      entries.push_back({{"name", entry.name},
                         {"arena_bytes", entry.arena_bytes},
                         {"live_bytes", entry.live_bytes},
                         {"io_bytes", entry.io_bytes},
                         {"commands", entry.commands}});
    out["programs"].push_back({{"target", program.target},
                               {"weight_bytes", program.weight_bytes},
                               {"state_bytes", program.state_bytes},
                               {"arena_bytes", program.arena_bytes},
                               {"io_bytes", program.io_bytes},
                               {"peak_bytes", program.peakBytes()},
                               {"entries", entries}});
  }
  if (!report.differences.empty()) {
    out["verified"] = Json::array();
    for (const auto &[pass, difference] : report.differences)
      out["verified"].push_back({{"pass", pass}, {"difference", difference}});
  }
  return out;
}

void printDifferences(const CompileReport &report) {
  if (report.differences.empty()) return;
  put("\nnumbers after each pass, against those before it, on drawn inputs\n");
  Table table("lr", {"pass", "difference"});
  for (const auto &[pass, difference] : report.differences)
    table.add({pass, difference == 0 ? "none" : fmt::format("{:.1e}", difference)});
  put(std::string_view(table.plain("  ")));
}

void printTrials(const CompileReport &report, double most) {
  if (report.trials.empty()) return;
  put("dtype {}, chosen for a divergence from f32 of at most {} nats a token\n", report.dtype, most);
  Table table("lrr", {"tried", "divergence", "same likeliest token"});
  for (const DtypeTrial &trial : report.trials)
    if (trial.failure.empty())
      table.add({trial.dtype, fmt::format("{:.1e}", trial.divergence),
                 fmt::format("{} of {}", trial.same, trial.positions)});
    else
      table.add({trial.dtype, trial.failure, "-"});
  put(std::string_view(table.plain("  ")));
  put("\n");
}

void printPhases(const CompileReport &report) {
  Table table("lr", {"phase", "time"});
  double listed = 0;
  for (const PhaseTime &phase : report.phases) {
    table.add({phase.name, secondsText(phase.seconds)});
    listed += phase.seconds;
  }
  if (double rest = report.seconds - listed; rest > 0.01) table.add({"everything else", secondsText(rest)});
  table.add({"total", secondsText(report.seconds)});
  put(std::string_view(table.plain("  ")));
}

void printMemory(const ProgramReport &program) {
  put("\npeak memory, {}: {} bytes ({})\n", program.target, program.peakBytes(),
      bytesText(program.peakBytes()));
  Table areas("lr", {"area", "bytes"});
  areas.add({"weights, mapped from the file", bytesText(program.weight_bytes)});
  areas.add({"KV cache and other state", bytesText(program.state_bytes)});
  areas.add({"activations", bytesText(program.arena_bytes)});
  areas.add({"inputs and outputs", bytesText(program.io_bytes)});
  put(std::string_view(areas.plain("  ")));
  Table entries("lrrrr", {"entry", "commands", "activations", "lower bound", "I/O"});
  for (const EntryReport &entry : program.entries)
    entries.add({entry.name, std::to_string(entry.commands), bytesText(entry.arena_bytes),
                 bytesText(entry.live_bytes), bytesText(entry.io_bytes)});
  put(std::string_view(entries.plain("  ")));
}

Result<void> execute(Options &options) {
  std::error_code ignored;
  if (std::filesystem::equivalent(options.compile.input, options.compile.output, ignored))
    return errorf("{}: is both the input and the output", options.compile.output);
  LINNET_ASSIGN(const CompilerApi *api, compiler("linnet compile"));
  requireTargets(*api, options.compile.targets);
  Progress progress;
  options.compile.progress = [&](const std::string &what, double fraction) { progress.show(what, fraction); };
  LINNET_ASSIGN(CompileReport report, api->compile(options.compile));
  progress.clear();
  noteConfig(report, options.compile.input);
  if (options.json) return printJson(toJson(report)), Result<void>();
  for (const std::string &line : report.notes) note(line);
  if (!options.compile.emit.empty()) {
    printTrials(report, options.compile.max_divergence);
    printDifferences(report);
    put("{}: {}\n", report.output, bytesText(report.artifact_bytes));
    return {};
  }
  printTrials(report, options.compile.max_divergence);
  printPhases(report);
  printDifferences(report);
  for (const ProgramReport &program : report.programs) printMemory(program);
  put("\n{}: {} bytes ({})\n", report.output, report.artifact_bytes, bytesText(report.artifact_bytes));
  if (!options.compile.dump_dir.empty())
    put("{}/index.html: what the compiler did\n", options.compile.dump_dir);
  return {};
}

} // namespace compile_command

void addCompile(CLI::App &app, Action &action) {
  using namespace compile_command;
  auto options = std::make_shared<Options>();
  CompileOptions &compile = options->compile;
  CLI::App *command = app.add_subcommand("compile", "compile a checkpoint or a graph to an artifact");
  command->group("Models");
  command
      ->add_option("MODEL", compile.input, "checkpoint directory, FILE.gguf, FILE.safetensors or FILE.mlir")
      ->required()
      ->type_name("");
  command->add_option("-o,--output", compile.output, "artifact (or text) to write")
      ->required()
      ->type_name("FILE");
  command
      ->add_option("--target", options->target,
                   "cpu, cpu:native, vulkan, vulkan:native, reference; several with commas")
      ->type_name("T")
      ->capture_default_str();
  command->add_flag("--verify-passes", compile.verify_passes,
                    "run the interpreter after every pass; name the first that changes the numbers");
  command
      ->add_option("--dump-dir", compile.dump_dir,
                   "write the IR after each pass, graphs, memory plans and kernels; see DIR/index.html")
      ->type_name("DIR");
  command
      ->add_option("--emit", compile.emit,
                   "write text instead of an artifact: the graph before or after the passes, or the kernels")
      ->check(CLI::IsMember({"mlir", "planned", "llvm", "spirv"}).description(""))
      ->type_name("mlir|planned|llvm|spirv")
      ->excludes("--dump-dir");
  addPassOptions(*command, compile, /*may_choose=*/true);
  command->add_flag("--json", options->json, "print one JSON object");
  command->footer(example("  linnet compile model --max-context 64 -o small.linnet"));
  for (const char *option : {"--seed", "--tolerance"}) command->get_option(option)->needs("--verify-passes");
  command->callback([command, options, &action] {
    // Without --target, the compiler takes the default target of the --emit stage.
    if (command->count("--target") || options->compile.emit.empty())
      options->compile.targets = splitCommas(options->target, "--target");
    else
      options->compile.targets.clear();
    for (const char *option : {"--max-divergence", "--calibration"})
      if (command->count(option) && options->compile.dtype != "auto")
        usageError(std::string(option) + " is for --dtype auto");
    if (options->compile.targets.empty()) // the default target of the stage: vulkan for spirv, cpu for others
      checkOneDnnOption(options->compile.onednn, {options->compile.emit == "spirv" ? "vulkan" : "cpu"},
                        "--target");
    else
      checkOneDnnOption(options->compile.onednn, options->compile.targets, "--target");
    action = [options] { return execute(*options); };
  });
}

} // namespace linnet::cli
