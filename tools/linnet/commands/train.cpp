// linnet train: a language model from random weights.
#include "compiler.h"
#include "support/error.h"
#include "support/file.h"
#include "training_options.h"

#include <filesystem>
#include <memory>

namespace linnet::cli {
namespace {

struct Options : TrainingOption {
  std::string preset = "stories", config, tokenizer;
};

/// The untrained model is run/start's source; it has done its part when that is there.
Result<void> execute(Options &options) {
  LINNET_TRY(options.resolve());
  LINNET_ASSIGN(const CompilerApi *api, compiler("linnet train"));
  std::string untrained = options.run.output + "/run/untrained";
  if (!options.run.resume && fileExists(options.run.output + "/run/config.json"))
    return errorf("{}/run: a run was begun here before; --resume goes on with it, another -o begins anew",
                  options.run.output);
  if (!fileExists(untrained)) {
    InitOptions init;
    init.preset = options.preset;
    init.config = options.config;
    init.tokenizer = options.tokenizer;
    init.seed = options.run.seed;
    init.directory = untrained;
    init.to_train = true;
    LINNET_TRY(api->initModel(init));
  }
  options.run.model = untrained;
  options.run.title = fmt::format(
      "{} trained on {}", options.config.empty() ? options.preset : training::shortName(options.config),
      training::shortName(options.run.data));
  return runTraining(options, "linnet train");
}

} // namespace

void addTrain(CLI::App &app, Action &action) {
  auto options = std::make_shared<Options>();
  options->run.lr = 1e-3;
  options->run.weight_decay = 0.1;
  CLI::App *command = app.add_subcommand("train", "train a language model from random weights");
  command->group("Training");
  command
      ->add_option("--tokenizer", options->tokenizer,
                   "directory of a tokenizer, as linnet tokenizer train writes it")
      ->required()
      ->type_name("DIR");
  command->add_option("--preset", options->preset, "shape: stories, tiny, distilgpt2, gpt2, ...")
      ->type_name("NAME")
      ->capture_default_str();
  command->add_option("--config", options->config, "a config.json instead")->type_name("FILE");
  options->add(*command);
  command->footer(example(
      "  linnet tokenizer train --vocab-size 300 -o vocabulary text.txt\n"
      "  linnet train --preset tiny --tokenizer vocabulary --data text.txt --seq 32 --steps 3 -o trained"));
  command->callback([options, &action] { action = [options] { return execute(*options); }; });
}

} // namespace linnet::cli
