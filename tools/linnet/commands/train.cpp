// linnet train: trains a language model from random weights.
#include "preset_option.h"
#include "training_options.h"

#include <memory>

namespace linnet::cli {
namespace train_command {

struct Options : TrainingOption {
  InitOptions init;
};

Result<void> execute(Options &options) {
  LINNET_TRY(options.resolve());
  options.run.init = options.init;
  options.run.title = fmt::format("{} trained on {}",
                                  options.init.config.empty() ? options.init.preset
                                                              : training::shortName(options.init.config),
                                  training::shortName(options.run.data));
  return runTraining(options, "linnet train");
}

} // namespace train_command

void addTrain(CLI::App &app, Action &action) {
  using namespace train_command;
  auto options = std::make_shared<Options>();
  options->run.lr = 1e-3;
  options->run.weight_decay = 0.1;
  options->init.preset = "stories";
  CLI::App *command = app.add_subcommand("train", "train a language model from random weights");
  command->group("Training");
  command
      ->add_option("--tokenizer", options->init.tokenizer,
                   "directory of a tokenizer, as linnet tokenizer train writes it")
      ->required()
      ->type_name("DIR");
  addPreset(*command, options->init.preset)->capture_default_str();
  command->add_option("--config", options->init.config, "a config.json instead")->type_name("FILE");
  options->add(*command);
  command->footer(example(
      "  linnet tokenizer train --vocab-size 300 -o words text.txt\n"
      "  linnet train --preset tiny --tokenizer words --data text.txt --seq 32 --steps 3 -o trained"));
  command->callback([options, &action] { action = [options] { return execute(*options); }; });
}

} // namespace linnet::cli
