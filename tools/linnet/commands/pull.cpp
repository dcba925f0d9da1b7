// linnet pull: downloads a checkpoint from the Hugging Face hub or a mirror.
#include "arguments.h"
#include "compiler.h"
#include "output.h"
#include "support/json.h"

#include <memory>

namespace linnet::cli {
namespace pull_command {

struct Options {
  PullOptions pull;
  bool json = false;
};

Result<void> execute(Options &options) {
  LINNET_ASSIGN(const CompilerApi *api, compiler("linnet pull"));
  Progress progress;
  options.pull.progress = [&](const std::string &file, uint64_t done, uint64_t total) {
    std::string what = total ? fmt::format("{} {} of {}", file, bytesText(done), bytesText(total)) : file;
    progress.show(what, total ? static_cast<double>(done) / static_cast<double>(total) : 0);
  };
  LINNET_ASSIGN(std::string directory, api->pullModel(options.pull));
  progress.clear();
  if (options.json)
    printJson({{"model", options.pull.model}, {"directory", directory}});
  else
    put("{}\n", directory);
  return {};
}

} // namespace pull_command

void addPull(CLI::App &app, Action &action) {
  using namespace pull_command;
  auto options = std::make_shared<Options>();
  CLI::App *command = app.add_subcommand("pull", "download a checkpoint from the Hugging Face hub");
  command->group("Models");
  command->add_option("REPO", options->pull.model, "OWNER/NAME on the hub")->required()->type_name("");
  command->add_option("DIR", options->pull.directory, "directory to fill (default: the hub's cache)")
      ->type_name("");
  command->add_flag("--json", options->json, "print one JSON object");
  command->footer(
      "\nPrints the directory that holds the model. HF_ENDPOINT, HF_TOKEN, HF_HOME and HF_HUB_OFFLINE are\n"
      "honoured; a download that broke off goes on where it stopped.\n" +
      example("  linnet pull OWNER/NAME model"));
  command->callback([options, &action] { action = [options] { return execute(*options); }; });
}

} // namespace linnet::cli
