#include "training/start.h"
#include "support/error.h"
#include "support/file.h"
#include "support/json.h"
#include "training/held_out.h"

#include <filesystem>

namespace linnet::training {
namespace {

/// Creates a new model in a directory, which copyModel() removes.
Result<std::string> makeUntrained(const CompilerApi &compiler, const FinetuneOptions &options,
                                  const std::string &directory) {
  InitOptions init = *options.init;
  init.directory = directory + "-untrained";
  init.seed = options.seed;
  init.positions = options.max_seq;
  init.to_train = true;
  LINNET_TRY(compiler.initModel(init));
  return init.directory;
}

Result<void> copyModel(const CompilerApi &compiler, const FinetuneOptions &options, const LabelNames &labels,
                       const std::string &directory) {
  std::error_code failed;
  std::string temporary; // the source of the copy, if it is not the model
  auto make = [&](const std::string &path) -> Result<void> {
    std::filesystem::create_directories(path, failed);
    if (failed) return errorf("{}: cannot create: {}", path, failed.message());
    return {};
  };
  StartOptions start;
  start.input = options.model;
  if (options.init) {
    LINNET_ASSIGN(temporary, makeUntrained(compiler, options, directory));
    start.input = temporary;
  } else if (options.new_head) { // the model without its head
    start.directory = temporary = directory + "-body";
    LINNET_TRY(make(temporary));
    LINNET_TRY(compiler.makeStart(start));
    start.input = temporary;
  }
  start.directory = directory;
  start.labels = labels;
  start.pooling = options.pooling;
  start.hidden = options.hidden;
  start.activation = options.activation;
  start.seed = options.seed;
  LINNET_TRY(make(directory));
  LINNET_TRY(compiler.makeStart(start));
  if (!temporary.empty()) std::filesystem::remove_all(temporary, failed);
  return {};
}

} // namespace

Result<Start> makeStart(const CompilerApi &compiler, const FinetuneOptions &options, const LabelNames &labels,
                        const std::string &directory) {
  // config.json is written last.
  if (!fileExists(directory + "/config.json")) LINNET_TRY(copyModel(compiler, options, labels, directory));
  LINNET_ASSIGN(CheckpointSummary summary, compiler.inspectCheckpoint(directory));
  LINNET_ASSIGN(Json config, parseJson(summary.config, directory + "/config.json"));
  LINNET_ASSIGN(std::optional<Tokenizer> tokenizer, Tokenizer::fromDirectory(directory));
  if (!tokenizer) return errorf("{}: the model has no tokenizer to read texts with", options.model);
  Start start{directory, {}, summary.parameters, std::move(*tokenizer)};
  for (const TensorSummary &tensor : summary.tensors)
    start.parameters.push_back({tensor.name, tensor.shape, tensor.role, tensor.block, tensor.exported});
  start.positions = summary.positions;
  start.end_of_text = endOfText(start.tokenizer, summary.end_tokens);
  return start;
}

} // namespace linnet::training
