// linnet finetune: trains a pretrained model for a task.
#include "training_options.h"

#include <memory>

namespace linnet::cli {
namespace finetune_command {

using namespace training;

struct Options : TrainingOption {
  std::string task, method, labels, hidden;
};

Result<void> execute(Options &options) {
  LINNET_TRY(options.resolve());
  return runTraining(options, "linnet finetune");
}

/// Checks the combination of options.
void check(Options &options, const CLI::App &command) {
  FinetuneOptions &run = options.run;
  run.task = options.task == "classify" ? Task::Classify : Task::LanguageModel;
  run.method = options.method == "head"      ? Method::Head
               : options.method == "layers"  ? Method::Layers
               : options.method == "partial" ? Method::Partial
                                             : Method::Full;
  bool head = run.method == Method::Head || run.method == Method::Layers;
  if (head && run.task != Task::Classify)
    usageError("--method " + options.method + " trains a classifier on embeddings: it needs --task classify");
  if (head && run.dropout > 0)
    usageError("--dropout acts in the model's blocks, which --method " + options.method + " does not train");
  if (run.task != Task::Classify)
    for (const char *name : {"--labels", "--label-column", "--pooling", "--new-head"})
      if (command.count(name)) usageError(std::string(name) + " is for --task classify");
  if (run.method != Method::Layers && !options.hidden.empty()) usageError("--hidden is for --method layers");
  if (!options.hidden.empty()) run.hidden = parseList(options.hidden, "--hidden");
  if (!options.labels.empty()) run.labels = splitCommas(options.labels, "--labels");
  if (!run.labels.empty() && run.labels.size() < 2) usageError("--labels: expected at least two");
  int chosen = !run.patterns.empty() + (run.last_layers > 0) + run.biases + run.norms;
  if (run.method == Method::Partial && chosen != 1)
    usageError("--method partial needs one of --train, --last-layers, --biases, --norms");
  if (run.method != Method::Partial && chosen)
    usageError("--train, --last-layers, --biases and --norms are for --method partial");
}

} // namespace finetune_command

void addFinetune(CLI::App &app, Action &action) {
  using namespace finetune_command;
  auto options = std::make_shared<Options>();
  CLI::App *command = app.add_subcommand("finetune", "train a pretrained model for a task");
  command->group("Training");
  FinetuneOptions &run = options->run;
  command->add_option("MODEL", run.model, "a checkpoint")->required()->type_name("");
  command->add_option("--task", options->task, "classify or lm")
      ->required()
      ->check(CLI::IsMember({"classify", "lm"}).description(""))
      ->type_name("NAME");
  command->add_option("--method", options->method, "head, layers, partial or full")
      ->required()
      ->check(CLI::IsMember({"head", "layers", "partial", "full"}).description(""))
      ->type_name("NAME");
  options->add(*command);
  command->add_option("--label-column", run.read.label_column, "name or number of the column with labels")
      ->type_name("NAME");
  command
      ->add_option("--labels", options->labels,
                   "labels in the order of their ids (default: the model's, or those in the file)")
      ->type_name("A,B,...");
  command
      ->add_option("--pooling", run.pooling,
                   "a classifier reads the last or first position, or the mean (default: the model's)")
      ->check(CLI::IsMember({"last", "mean", "first"}).description(""))
      ->type_name("HOW");
  command
      ->add_option("--hidden", options->hidden, "layers: widths of the hidden layers (default: the model's)")
      ->type_name("A,B,...");
  command
      ->add_option("--activation", run.activation,
                   "layers: gelu, gelu_new, quick_gelu, relu or silu (default: the model's, or gelu)")
      ->check(CLI::IsMember({"gelu", "gelu_new", "quick_gelu", "relu", "silu"}).description(""))
      ->type_name("NAME");
  command->add_flag("--new-head", run.new_head, "replace the head of a model that is a classifier");
  command->add_option("--train", run.patterns, "partial: parameters by pattern, '*.{10,11}.*,*.bias'")
      ->type_name("PATTERNS");
  command->add_option("--last-layers", run.last_layers, "partial: the last N blocks and the last norm")
      ->check(CLI::Range(int64_t(1), int64_t(1) << 20).description(""))
      ->type_name("N");
  command->add_flag("--biases", run.biases, "partial: biases only");
  command->add_flag("--norms", run.norms, "partial: norms only");
  command->add_option("--layer-decay", run.layer_decay, "each layer learns so much slower than the one above")
      ->check(numberIn(0.01, 1.0))
      ->type_name("X")
      ->capture_default_str();
  command->add_option("--l2sp", run.l2sp, "weight of a penalty on the distance to the starting weights")
      ->check(numberIn(0.0, 1000.0))
      ->type_name("X")
      ->capture_default_str();
  command
      ->add_option("--original", run.original,
                   "a text to measure the language model's loss on, before and after")
      ->type_name("FILE");
  command->footer(example(
      "  linnet finetune model --data messages.tsv --task classify --method head --steps 20 -o classifier"));
  command->callback([options, command, &action] {
    check(*options, *command);
    action = [options] { return execute(*options); };
  });
}

} // namespace linnet::cli
