// linnet init: writes a checkpoint of a published shape with random weights.
#include "arguments.h"
#include "compiler.h"
#include "output.h"
#include "preset_option.h"
#include "support/json.h"

#include <memory>

namespace linnet::cli {
namespace init_command {

struct Options {
  InitOptions init;
  std::string labels;
  bool json = false;
};

Result<void> execute(const Options &options) {
  LINNET_ASSIGN(const CompilerApi *api, compiler("linnet init"));
  LINNET_TRY(api->initModel(options.init));
  LINNET_ASSIGN(CheckpointSummary made, api->inspectCheckpoint(options.init.directory));
  if (options.json)
    printJson({{"directory", options.init.directory},
               {"preset", options.init.preset},
               {"seed", options.init.seed},
               {"parameters", made.parameters},
               {"bytes", made.bytes},
               {"tokenizer", made.has_tokenizer}});
  else
    put("{}: {}, {} parameters drawn at random (seed {}), {}{}; untrained: its text is noise\n",
        options.init.directory, options.init.preset, countText(made.parameters), options.init.seed,
        bytesText(made.bytes),
        made.has_tokenizer ? ", with a tokenizer" : ", no tokenizer (ids in, ids out)");
  return {};
}

} // namespace init_command

void addInit(CLI::App &app, Action &action) {
  using namespace init_command;
  auto options = std::make_shared<Options>();
  CLI::App *command = app.add_subcommand("init", "make an untrained checkpoint of a known shape");
  command->group("Models");
  command->add_option("DIR", options->init.directory, "directory to make")->required()->type_name("");
  addPreset(*command, options->init.preset)->required();
  command->add_option("--seed", options->init.seed, "same seed, same bytes")
      ->check(isSeed())
      ->type_name("N")
      ->capture_default_str();
  command
      ->add_option("--tokenizer", options->init.tokenizer,
                   "directory of a tokenizer, which says the vocabulary's size")
      ->type_name("DIR");
  command->add_option("--labels", options->labels, "a classifier of these labels")->type_name("A,B,...");
  command->add_flag("--json", options->json, "print one JSON object");
  command->footer(example("  linnet init --preset tiny --seed 7 another-model"));
  command->callback([options, &action] {
    if (!options->labels.empty()) options->init.labels = splitCommas(options->labels, "--labels");
    action = [options] { return execute(*options); };
  });
}

} // namespace linnet::cli
