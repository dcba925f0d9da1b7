// linnet bisect: finds the change of a pass, or the kernel, that makes the numbers wrong.
#include "arguments.h"
#include "compile_options.h"
#include "compiler.h"
#include "output.h"
#include "support/error.h"
#include "support/json.h"

#include <memory>

namespace linnet::cli {
namespace bisect_command {

struct Options {
  CompileOptions compile;
  std::string target = "cpu";
  bool json = false;
};

Json toJson(const BisectReport &report) {
  Json out = {{"found", report.found}, {"passes", report.passes}, {"seconds", report.seconds}};
  if (!report.found) return out;
  out["kind"] = report.kind;
  out["fault"] = report.fault;
  if (report.kind == "pass") {
    out["pass"] = report.pass;
    out["pass_number"] = report.pass_number;
    out["applications"] = report.applications;
    if (!report.rewrite.empty())
      out["rewrite"] = {{"name", report.rewrite},
                        {"op", report.op},
                        {"location", report.location},
                        {"application", report.application}};
  } else {
    out["commands"] = report.commands;
  }
  out["reduced"] = {{"file", report.graph_file}, {"weights", report.weights_file}, {"ops", report.ops},
                    {"trials", report.trials},   {"fault", report.reduced_fault},  {"places", report.places}};
  out["repeat"] = report.repeat;
  return out;
}

void print(const BisectReport &report) {
  auto line = [](std::string_view name, const std::string &text) { put("{:<9} {}\n", name, text); };
  if (report.kind == "pass") {
    line("pass", fmt::format("{} (number {} of {})", report.pass, report.pass_number, report.passes));
    line("rewrite", report.rewrite.empty()
                        ? "the pass as a whole: it makes no change that can be left out alone"
                        : fmt::format("{} on {} at {} (change {} of {})", report.rewrite, report.op,
                                      report.location.empty() ? "an unknown place" : report.location,
                                      report.application, report.applications));
  } else {
    line("passes", fmt::format("all {} keep the numbers; the target does not compute them", report.passes));
    for (const std::string &command : report.commands) line("command", command);
  }
  line("fault", report.fault);
  line("reduced",
       fmt::format("{} op{} after {} trials: {}{}", report.ops, report.ops == 1 ? "" : "s", report.trials,
                   report.graph_file, report.weights_file.empty() ? "" : " and " + report.weights_file));
  line("", report.reduced_fault);
  for (const std::string &place : report.places) line("place", place);
  line("repeat", report.repeat);
}

Result<void> execute(Options &options) {
  LINNET_ASSIGN(const CompilerApi *api, compiler("linnet bisect"));
  requireTargets(*api, options.compile.targets);
  Progress progress;
  options.compile.progress = [&](const std::string &what, double fraction) { progress.show(what, fraction); };
  LINNET_ASSIGN(BisectReport report, api->bisect(options.compile));
  progress.clear();
  if (options.json)
    printJson(toJson(report));
  else if (report.found)
    print(report);
  else
    put("nothing to find: after each of {} passes, and on {}, the numbers are those of the graph ({})\n",
        report.passes, options.target, secondsText(report.seconds));
  if (!report.found) return {};
  return errorf("{}: {}{}", options.compile.input, report.pass.empty() ? "" : report.pass + " ",
                report.fault);
}

} // namespace bisect_command

void addBisect(CLI::App &app, Action &action) {
  using namespace bisect_command;
  auto options = std::make_shared<Options>();
  CompileOptions &compile = options->compile;
  compile.output = "bisect.mlir";
  CLI::App *command = app.add_subcommand("bisect", "which rewrite of which pass makes the numbers wrong");
  command->group("Models");
  command
      ->add_option("MODEL", compile.input, "checkpoint directory, FILE.gguf, FILE.safetensors or FILE.mlir")
      ->required()
      ->type_name("");
  command->add_option("-o,--output", compile.output, "where to write the smallest graph that shows it")
      ->type_name("FILE.mlir")
      ->capture_default_str();
  command->add_option("--target", options->target, "cpu, cpu:native, vulkan, vulkan:native or reference")
      ->type_name("T")
      ->capture_default_str();
  addPassOptions(*command, compile);
  command->add_flag("--json", options->json, "print one JSON object");
  command->footer(example("  linnet bisect model --max-context 64"));
  command->callback([options, &action] {
    options->compile.targets = {options->target};
    checkOneDnnOption(options->compile.onednn, options->compile.targets, "--target");
    action = [options] { return execute(*options); };
  });
}

} // namespace linnet::cli
