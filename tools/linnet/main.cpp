// The driver: parses the command line, runs one command, and reports failures as one line and an exit code.
#include "arguments.h"
#include "help.h"
#include "linnet/version.h"
#include "model.h"
#include "output.h"
#include "signals.h"
#include "versions.h"

#include <exception>
#include <new>

using namespace linnet;

namespace {

void declare(CLI::App &app, cli::Action &action) {
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string("linnet ") + version(), "print the version and leave");
  app.add_flag("--json")
      ->description("with --version: versions of libraries, processor and devices as JSON")
      ->needs("--version");
  app.set_help_flag("-h,--help", "print this help and leave");
  app.formatter(cli::helpFormatter());
  cli::addRun(app, action);
  cli::addChat(app, action);
  cli::addServe(app, action);
  cli::addLogits(app, action);
  cli::addEmbed(app, action);
  cli::addEval(app, action);
  cli::addClassify(app, action);
  cli::addFinetune(app, action);
  cli::addTrain(app, action);
  cli::addGrad(app, action);
  cli::addBench(app, action);
  cli::addProfile(app, action);
  cli::addAblate(app, action);
  cli::addBisect(app, action);
  cli::addCompile(app, action);
  cli::addInspect(app, action);
  cli::addDevices(app, action);
  cli::addInit(app, action);
  cli::addPull(app, action);
  cli::addExport(app, action);
  cli::addTokenize(app, action);
  cli::addDetokenize(app, action);
  cli::addTokenizer(app, action);
  cli::addManual(app, action);
  app.footer(cli::example("  linnet init --preset tiny model\n"
                          "  linnet compile model -o model.linnet\n"
                          "  linnet run model.linnet --prompt \"Once upon a time\""));
}

/// Reports the result of an action. Returns the exit code.
int finish(const Result<void> &result) {
  const int written = cli::finish();
  if (int code = cli::interrupted()) return code;
  if (written) return written;
  if (result) return 0;
  cli::printError(result.error().message);
  return 1;
}

/// Parses the command line. Sets `done` if there is nothing to run (help, version, an error). Returns the
/// exit code.
int parse(CLI::App &app, int argc, char **argv, bool &done) {
  done = true;
  try {
    app.parse(argc, argv);
    done = false;
    return 0;
  } catch (const CLI::CallForHelp &) {
    cli::put(std::string_view(cli::helpOf(app)));
    return cli::finish();
  } catch (const CLI::CallForVersion &version) {
    if (app.count("--json")) return finish(cli::printVersions());
    cli::put("{}\n", version.what());
    return cli::finish();
  } catch (const CLI::ParseError &error) {
    cli::printError(cli::usageMessage(app, error));
    return 2;
  }
}

int execute(const CLI::App &app, const cli::Action &action) {
  Result<void> result;
  try {
    result = action();
  } catch (const CLI::ParseError &error) { // an option that does not fit the model
    cli::printError(cli::usageMessage(app, error));
    return 2;
  }
  return finish(result);
}

} // namespace

int main(int argc, char **argv) {
  cli::installSignals();
  cli::registerLazyDevices();
  try {
    CLI::App app(
        "Linnet compiles GPT-2 checkpoints, and any graph in its dialect, to one file that runs fast.");
    cli::Action action;
    declare(app, action);
    bool done = false;
    int code = parse(app, argc, argv, done);
    return done ? code : execute(app, action);
  } catch (const std::bad_alloc &) {
    cli::printError("out of memory");
  } catch (const std::exception &error) {
    cli::printError(std::string("internal error: ") + error.what());
  }
  return 1;
}
