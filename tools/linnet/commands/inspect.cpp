#include "commands/inspect.h"
#include "arguments.h"
#include "compiler.h"
#include "model.h"
#include "output.h"
#include "support/error.h"
#include "support/json.h"

#include <algorithm>
#include <memory>

namespace linnet::cli {
namespace inspect_command {

std::string shapeText(const std::vector<int64_t> &shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

Json toJson(const CheckpointSummary &checkpoint) {
  Json out = {{"kind", "checkpoint"},
              {"format", checkpoint.format},
              {"parameters", checkpoint.parameters},
              {"bytes", checkpoint.bytes},
              {"tokenizer", checkpoint.has_tokenizer},
              {"ignored_keys", checkpoint.ignored_keys},
              {"config", Json::parse(checkpoint.config, nullptr, false)}};
  if (!checkpoint.metadata.empty()) out["metadata"] = Json::parse(checkpoint.metadata, nullptr, false);
  if (!checkpoint.generation.empty()) out["generation"] = Json::parse(checkpoint.generation, nullptr, false);
  if (!checkpoint.ignored.empty()) out["ignored"] = checkpoint.ignored;
  out["tensors"] = Json::array();
  for (const TensorSummary &tensor : checkpoint.tensors)
    out["tensors"].push_back(
        {{"name", tensor.name}, {"dtype", tensor.dtype}, {"shape", tensor.shape}, {"bytes", tensor.bytes}});
  return out;
}

/// A value of a .gguf's metadata on one line. Chat templates have thousands of characters.
std::string metadataText(const Json &value) {
  constexpr size_t kShown = 80;
  std::string text = value.is_string() ? value.get<std::string>() : value.dump();
  const size_t size = text.size();
  if (size > kShown) {
    size_t end = kShown;
    while (end > 0 && (text[end] & 0xC0) == 0x80) --end; // not inside of a UTF-8 character
    text.resize(end);
  }
  const std::string shown = value.is_string() ? cli::quoted(text) : text;
  return size > kShown ? fmt::format("{}... ({} bytes)", shown, size) : shown;
}

Result<void> inspectCheckpoint(const InspectOptions &options) {
  LINNET_ASSIGN(const CompilerApi *api, compiler("linnet inspect on a checkpoint"));
  LINNET_ASSIGN(CheckpointSummary checkpoint, api->inspectCheckpoint(options.file));
  if (options.json) return printJson(toJson(checkpoint)), Result<void>();
  put("{}: {} checkpoint, {} parameters, {} in {} tensors, {}\n\nconfig: {}\n", options.file,
      checkpoint.format, countText(checkpoint.parameters), bytesText(checkpoint.bytes),
      checkpoint.tensors.size(), checkpoint.has_tokenizer ? "with a tokenizer" : "no tokenizer",
      checkpoint.config);
  if (!checkpoint.ignored_keys.empty())
    put("\nignored in config.json, because they change no numbers: {}\n",
        fmt::join(checkpoint.ignored_keys, ", "));
  if (!checkpoint.metadata.empty()) {
    const Json metadata = Json::parse(checkpoint.metadata, nullptr, false);
    put("\nmetadata:\n");
    for (auto &[key, value] : metadata.items()) put("  {}: {}\n", key, metadataText(value));
  }
  if (!checkpoint.generation.empty()) put("\ngeneration: {}\n", checkpoint.generation);
  if (!checkpoint.ignored.empty())
    put("\nsettings of generation that Linnet does not have: {}\n", fmt::join(checkpoint.ignored, ", "));
  Table table("lllr", {"tensor", "type", "shape", "bytes"});
  for (const TensorSummary &tensor : checkpoint.tensors)
    table.add({tensor.name, tensor.dtype, shapeText(tensor.shape), std::to_string(tensor.bytes)});
  put("\n{}", table.plain());
  return {};
}

/// An error about the first given flag, if any: these flags do not apply to this kind of file.
Result<void> refuse(const InspectOptions &options, const std::string &kind,
                    std::initializer_list<std::pair<bool, const char *>> flags) {
  for (auto [given, name] : flags)
    if (given)
      return errorf("{}: {} is about artifacts, and this is a {}: compile it and inspect that", options.file,
                    name, kind);
  return {};
}

Result<void> execute(const InspectOptions &options) {
  LINNET_ASSIGN(FileKind kind, kindOf(options.file));
  if (kind == FileKind::Artifact) return inspectArtifact(options);
  bool graph = kind == FileKind::Graph;
  LINNET_TRY(refuse(options, graph ? "graph" : "checkpoint",
                    {{options.commands, "--commands"},
                     {options.module && !graph, "--module"},
                     {options.cost, "--cost"},
                     {options.verify, "--verify"}}));
  return graph ? inspectGraph(options) : inspectCheckpoint(options);
}

} // namespace inspect_command

void addInspect(CLI::App &app, Action &action) {
  using namespace inspect_command;
  auto options = std::make_shared<InspectOptions>();
  auto at = std::make_shared<std::vector<std::string>>();
  CLI::App *command = app.add_subcommand("inspect", "what is inside a checkpoint, an artifact or a graph");
  command->group("Models");
  command->add_option("FILE", options->file, "FILE.linnet, checkpoint directory, FILE.gguf or FILE.mlir")
      ->required()
      ->type_name("");
  command->add_flag("--weights", options->tensors,
                    "list the weights (of a checkpoint they always are), or a graph's parameters");
  command->add_flag("--commands", options->commands, "list an artifact's commands");
  command->add_flag("--module", options->module,
                    "print a graph, or the planned graph that an artifact carries");
  CLI::Option *cost =
      command->add_flag("--cost", options->cost, "flops and bytes of an artifact's entries by op");
  command
      ->add_option("--at", *at, "for --cost: value of a dynamic dimension (default: its bound); repeatable")
      ->allow_extra_args(false)
      ->needs(cost)
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
