#include "commands/inspect.h"
#include "arguments.h"
#include "compiler.h"
#include "model.h"
#include "output.h"
#include "support/json.h"

#include <algorithm>
#include <memory>

namespace linnet::cli {
namespace {

std::string shapeText(const std::vector<int64_t> &shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

Json toJson(const CheckpointSummary &checkpoint) {
  Json out = {{"kind", "checkpoint"},
              {"format", checkpoint.format},
              {"parameters", checkpoint.parameters},
              {"bytes", checkpoint.bytes},
              {"tokenizer", checkpoint.has_tokenizer},
              {"config", Json::parse(checkpoint.config, nullptr, false)}};
  if (!checkpoint.generation.empty()) out["generation"] = Json::parse(checkpoint.generation, nullptr, false);
  if (!checkpoint.ignored.empty()) out["ignored"] = checkpoint.ignored;
  out["tensors"] = Json::array();
  for (const TensorSummary &tensor : checkpoint.tensors)
    out["tensors"].push_back(
        {{"name", tensor.name}, {"dtype", tensor.dtype}, {"shape", tensor.shape}, {"bytes", tensor.bytes}});
  return out;
}

Result<void> inspectCheckpoint(const InspectOptions &options) {
  LINNET_ASSIGN(const CompilerApi *api, compiler("linnet inspect on a checkpoint"));
  LINNET_ASSIGN(CheckpointSummary checkpoint, api->inspectCheckpoint(options.file));
  if (options.json) return printJson(toJson(checkpoint)), Result<void>();
  put("{}: {} checkpoint, {} parameters, {} in {} tensors, {}\n\nconfig: {}\n", options.file,
      checkpoint.format, countText(checkpoint.parameters), bytesText(checkpoint.bytes),
      checkpoint.tensors.size(), checkpoint.has_tokenizer ? "with a tokenizer" : "no tokenizer",
      checkpoint.config);
  if (!checkpoint.generation.empty()) put("\ngeneration: {}\n", checkpoint.generation);
  if (!checkpoint.ignored.empty())
    put("\nsettings of generation that Linnet does not have: {}\n", fmt::join(checkpoint.ignored, ", "));
  Table table("lllr", {"tensor", "type", "shape", "bytes"});
  for (const TensorSummary &tensor : checkpoint.tensors)
    table.add({tensor.name, tensor.dtype, shapeText(tensor.shape), std::to_string(tensor.bytes)});
  put("\n{}", table.plain());
  return {};
}

Result<void> execute(const InspectOptions &options) {
  LINNET_ASSIGN(FileKind kind, kindOf(options.file));
  if (kind == FileKind::Artifact) return inspectArtifact(options);
  if (kind == FileKind::Graph)
    return Error{options.file + ": is text already: read it, or compile it and inspect that"};
  if (options.verify || options.cost)
    return Error{options.file + ": --verify and --cost are about artifacts: compile it"};
  return inspectCheckpoint(options);
}

} // namespace

void addInspect(CLI::App &app, Action &action) {
  auto options = std::make_shared<InspectOptions>();
  auto at = std::make_shared<std::vector<std::string>>();
  CLI::App *command = app.add_subcommand("inspect", "what is inside a checkpoint or an artifact");
  command->group("Models");
  command->add_option("FILE", options->file, "FILE.linnet, checkpoint directory or FILE.gguf")
      ->required()
      ->type_name("");
  command->add_flag("--weights", options->tensors, "list an artifact's weights");
  command->add_flag("--commands", options->commands, "list an artifact's commands");
  command->add_flag("--module", options->module,
                    "print the planned graph that an artifact carries, if it does");
  command->add_flag("--cost", options->cost, "flops and bytes of an artifact's entries by op");
  command
      ->add_option("--at", *at, "for --cost: value of a dynamic dimension (default: its bound); repeatable")
      ->allow_extra_args(false)
      ->type_name("NAME=N");
  command->add_flag("--verify", options->verify, "compare every blob of an artifact with its checksum");
  command->add_flag("--json", options->json, "print one JSON object");
  command->footer(example("  linnet inspect model.linnet --cost --at batch=1 --at seq=8"));
  command->callback([options, at, &action] {
    for (const std::string &pair : *at) {
      size_t equals = pair.find('=');
      std::vector<int64_t> value;
      if (equals != std::string::npos && equals > 0) value = parseList(pair.substr(equals + 1), "--at");
      if (value.size() != 1) usageError("--at: expected NAME=N, found '" + pair + "'");
      options->at[pair.substr(0, equals)] = value[0];
    }
    action = [options] { return execute(*options); };
  });
}

} // namespace linnet::cli
